import type { RoundReport, StudyReport } from './status.ts';
import { operatorHome, type Box } from './box.ts';
import { startAgent } from './enrol.ts';
import type { Running } from './programs.ts';
import type { SiloSource } from './silos.ts';

/** Which agent was killed, when, and when it was started again. */
export interface Dropout {
  readonly silo: string;
  readonly killedInRound: number;
  /** Open when it was started again. */
  readonly restartedInRound: number | null;
  /** First round with its update in the sum again. */
  readonly backInRound: number | null;
}

/** How many rounds the killed agent stays away. */
const AWAY_ROUNDS = 2;

/**
 * Steps 4 to 6: statistics and training rounds, with one agent killed between R1 and R2 of a round
 * and started again two rounds later. `agents` follows: it always holds the running ones.
 */
export async function runRounds(
  box: Box,
  study: string,
  agents: Map<string, Running>,
  onProgress: (report: StudyReport) => void,
): Promise<{ report: StudyReport; dropout: Dropout | null }> {
  const operator = ['--home', operatorHome(box)];
  await box.programs.call('medley', 'study', 'start', study, ...operator);
  const killer = new Killer(box, agents);
  let last: StudyReport | undefined;
  for await (const report of box.programs.follow<StudyReport>(
    'medley',
    ...['study', 'status', study, '--watch', ...operator],
  )) {
    last = report;
    onProgress(report);
    killer.observe(report);
  }
  if (!last) throw new Error('the study had no status');
  return { report: last, dropout: killer.dropout(last) };
}

/**
 * Kills one agent with SIGKILL as soon as a round waits for masked vectors and that agent has not
 * sent its own. Whether the kill came in time shows when the round is closed; if the vector was
 * already in, the agent is started again and the next round is tried.
 */
class Killer {
  readonly #box: Box;
  readonly #agents: Map<string, Running>;
  readonly #victim: SiloSource | undefined;
  #killedIn: number | null = null;
  #restartedIn: number | null = null;

  constructor(box: Box, agents: Map<string, Running>) {
    this.#box = box;
    this.#agents = agents;
    // With three hospitals no drop-out can be afforded: the floor is three survivors.
    this.#victim = box.source.silos.length > 3 ? box.source.silos.at(0) : undefined;
  }

  observe(report: StudyReport): void {
    const open = report.rounds.find(isOpen);
    if (!this.#victim || !open) return;
    if (this.#killedIn === null) {
      const due = open.kind === 'training' && open.round > Math.floor(report.lastRound / 3);
      if (due && open.step === 'mask') this.#kill(open.round);
      return;
    }
    const killed = report.rounds.find((r) => r.round === this.#killedIn && r.step === 'closed');
    if (!killed || this.#agents.has(this.#victim.name)) return;
    const isTooLate = killed.survivors.includes(this.#victim.name);
    if (isTooLate || open.round >= this.#killedIn + AWAY_ROUNDS) {
      this.#agents.set(this.#victim.name, startAgent(this.#box, this.#victim));
      if (isTooLate) this.#killedIn = null;
      else this.#restartedIn = open.round;
    }
  }

  /** What the report shows of the drop-out; null when nobody was killed in time. */
  dropout(report: StudyReport): Dropout | null {
    const silo = this.#victim?.name;
    const round = report.rounds.find((r) => r.round === this.#killedIn && r.step === 'closed');
    if (silo === undefined || !round || round.survivors.includes(silo)) return null;
    if (!round.sharers.includes(silo)) return null;
    const back = report.rounds.find((r) => r.round > round.round && r.survivors.includes(silo));
    const restartedInRound = this.#restartedIn;
    const backInRound = restartedInRound === null ? null : (back?.round ?? null);
    return { silo, killedInRound: round.round, restartedInRound, backInRound };
  }

  #kill(round: number): void {
    const name = this.#victim?.name ?? '';
    this.#agents.get(name)?.kill('SIGKILL');
    this.#agents.delete(name);
    this.#killedIn = round;
  }
}

function isOpen({ step }: RoundReport): boolean {
  return step !== 'closed' && step !== 'aborted';
}
