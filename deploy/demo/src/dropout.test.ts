import { describe, expect, test } from '@jest/globals';
import type { Agents } from './agents.ts';
import { Killer } from './dropout.ts';
import type { SiloSource } from './silos.ts';
import type { RoundReport, StudyReport } from './status.ts';

const silos: SiloSource[] = ['a', 'b', 'c', 'd'].map((name) => ({ name, title: name, file: name }));

/** Agents without processes: what was started and killed, and a way to make one log a line. */
class FakeAgents {
  readonly running = new Set<string>();
  readonly killed: string[] = [];
  readonly ears = new Map<string, (line: string) => void>();

  start(silo: SiloSource, onLine?: (line: string) => void): void {
    this.running.add(silo.name);
    if (onLine) this.ears.set(silo.name, onLine);
  }

  kill(name: string): void {
    this.running.delete(name);
    this.killed.push(name);
  }

  isRunning(name: string): boolean {
    return this.running.has(name);
  }

  log(name: string, round: number, step = 'training'): void {
    this.ears.get(name)?.(JSON.stringify({ step, round, msg: 'local work begins' }));
  }
}

function killerOf(fromRound: number, of = silos): { killer: Killer; agents: FakeAgents } {
  const agents = new FakeAgents();
  // A stand-in with the three methods that the killer calls.
  const killer = new Killer(agents as unknown as Agents, of, fromRound);
  killer.startAgents(of);
  return { killer, agents };
}

const all = silos.map(({ name }) => name);

function round(number: number, step: string, survivors: readonly string[] = []): RoundReport {
  return {
    round: number,
    attempt: 1,
    kind: 'training',
    step,
    openedMs: 0,
    closedMs: null,
    steps: [],
    sharers: all,
    survivors,
    dropped: [],
    bytesUp: 0,
    bytesDown: 0,
    metrics: null,
  };
}

function report(...rounds: RoundReport[]): StudyReport {
  return {
    study: 's',
    state: 'active',
    round: 0,
    lastRound: 10,
    waitingFor: null,
    privacy: null,
    rounds,
  };
}

describe('the killer', () => {
  test('kills one agent when its training begins, not before the round it was told', () => {
    const { agents } = killerOf(3);
    agents.log('a', 2);
    agents.log('a', 0, 'statistics');
    agents.ears.get('a')?.('not JSON at all');
    expect(agents.killed).toEqual([]);
    agents.log('a', 3);
    agents.log('a', 4);
    expect(agents.killed).toEqual(['a']);
  });

  test('starts it again two rounds later and reports what the study shows', () => {
    const { killer, agents } = killerOf(3);
    agents.log('a', 3);
    const closed = round(3, 'closed', ['b', 'c', 'd']);
    killer.observe(report(closed, round(4, 'mask')));
    expect(agents.isRunning('a')).toBe(false);
    killer.observe(report(closed, round(5, 'advertise')));
    expect(agents.isRunning('a')).toBe(true);
    expect(killer.dropout(report(closed, round(6, 'closed', all)))).toEqual({
      silo: 'a',
      killedInRound: 3,
      restartedInRound: 5,
      backInRound: 6,
    });
  });

  test('tries a later round when the vector had been sent before the kill', () => {
    const { killer, agents } = killerOf(3);
    agents.log('a', 3);
    killer.observe(report(round(3, 'closed', all), round(4, 'advertise')));
    expect(agents.isRunning('a')).toBe(true);
    expect(killer.dropout(report(round(3, 'closed', all)))).toBeNull();
    agents.log('a', 5);
    expect(agents.killed).toEqual(['a', 'a']);
    expect(killer.dropout(report(round(5, 'closed', ['b', 'c', 'd'])))).toMatchObject({
      killedInRound: 5,
      restartedInRound: null,
      backInRound: null,
    });
  });

  test('spares everyone where three survivors would be missing', () => {
    const { agents } = killerOf(1, silos.slice(0, 3));
    agents.log('a', 5);
    expect(agents.ears.size).toBe(0);
    expect(agents.killed).toEqual([]);
  });
});
