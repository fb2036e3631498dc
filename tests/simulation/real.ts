import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createTerminal, MedleyError, systemClock } from '@medley/kit';
import type { AdminMethods, Client, StudyStatus__Output } from '@medley/rpc';
import type { Box } from '../../deploy/demo/src/box.ts';
import { editDocument } from '../../deploy/demo/src/document.ts';
import { enrolSilos } from '../../deploy/demo/src/enrol.ts';
import { verifyAudit } from '../../deploy/demo/src/evidence.ts';
import { foundConsortium } from '../../deploy/demo/src/found.ts';
import { Programs, type Running } from '../../deploy/demo/src/programs.ts';
import { connectAdmin } from '../../services/operator/src/connection.ts';
import { openHome } from '../../services/operator/src/home.ts';
import { writeRows, writeStudy } from './realStudy.ts';

/** Real processes: an aggregator, an audit service and three agents, founded and enrolled as in the demo. */
export class RealConsortium {
  static readonly SILOS = ['alder', 'birch', 'cedar'] as const;
  readonly work: string;
  readonly box: Box;
  readonly #programs: Programs;
  readonly #processes = new Map<string, Running>();
  /** Newest step in which a started aggregator said that it goes on. */
  continuedAt: string | undefined;

  private constructor(work: string, box: Box, programs: Programs) {
    this.work = work;
    this.box = box;
    this.#programs = programs;
  }

  static async found(say: (line: string) => void): Promise<RealConsortium> {
    const work = mkdtempSync(join(tmpdir(), 'medley-kills-'));
    mkdirSync(join(work, 'logs'));
    const root = fileURLToPath(new URL('../..', import.meta.url));
    const signal = new AbortController().signal;
    const programs = new Programs({
      files: {
        medley: join(root, 'services/operator/bin/medley.js'),
        'medley-agent': join(root, 'silo-agent/bin/medley-agent.js'),
        'medley-aggregator': join(root, 'services/aggregator/bin/medley-aggregator.js'),
        'medley-audit': join(root, 'services/audit/bin/medley-audit.js'),
        'verify.mjs': join(root, 'services/operator/verify/verify.mjs'),
      },
      node: process.execPath,
      env: process.env,
      cwd: root,
      signal,
    });
    const { stdout, stderr, env } = process;
    const silos = await Promise.all(
      RealConsortium.SILOS.map(async (name) => ({
        name,
        title: name,
        file: await writeRows(join(work, 'rows'), name),
      })),
    );
    await writeStudy(join(work, 'calm'), 'calm', 1);
    const box: Box = {
      work,
      out: join(work, 'out'),
      source: { silos, pooled: '', studyFile: join(work, 'calm', 'study.yaml') },
      rounds: null,
      privacy: null,
      programs,
      terminal: createTerminal({ stdout, stderr, env, json: false }),
      clock: systemClock,
      signal,
    };
    const consortium = new RealConsortium(work, box, programs);
    try {
      say('founding the consortium');
      await consortium.#found();
    } catch (caught) {
      await consortium.close();
      throw caught;
    }
    return consortium;
  }

  async close(): Promise<void> {
    for (const running of this.#processes.values()) running.kill('SIGCONT');
    await this.#programs.stopAll(5000);
    rmSync(this.work, { recursive: true, force: true });
  }

  /** SIGKILL, SIGSTOP or SIGCONT, from outside. */
  async signal(name: string, signal: NodeJS.Signals): Promise<void> {
    const running = this.#processes.get(name);
    running?.kill(signal);
    if (signal === 'SIGKILL') await running?.ended;
  }

  start(name: string): void {
    const log = join(this.work, 'logs', `${name}.log`);
    if (name !== 'aggregator') {
      const home = join(this.work, 'silos', name);
      this.#processes.set(
        name,
        this.#programs.start(name, 'medley-agent', ['run', '--home', home], { log }),
      );
      return;
    }
    const config = join(this.work, 'aggregator', 'aggregator.yaml');
    const onLine = (line: string): void => {
      if (!line.includes('"round continues"')) return;
      this.continuedAt = (JSON.parse(line) as { step: string }).step;
    };
    const args = ['serve', '--config', config];
    const options = { log, onLine };
    this.#processes.set(name, this.#programs.start(name, 'medley-aggregator', args, options));
  }

  /** Proposes a study of `rounds` training rounds, and has every steward sign it. */
  async propose(name: string, rounds: number): Promise<void> {
    const folder = join(this.work, name);
    await writeStudy(folder, name, rounds);
    await this.operator('study', 'propose', folder);
    for (const silo of RealConsortium.SILOS) {
      const home = ['--home', join(this.work, 'silos', silo)];
      const sign = ['study', 'sign', name, '--as', 'Steward', '--yes', ...home];
      await this.#programs.call('medley-agent', ...sign);
    }
  }

  operator(...args: readonly string[]): Promise<unknown> {
    return this.#programs.call('medley', ...args, '--home', join(this.work, 'operator'));
  }

  async verify(): Promise<boolean> {
    return (await verifyAudit(this.box)).verified;
  }

  async admin(): Promise<Client<AdminMethods>> {
    return connectAdmin(await openHome(join(this.work, 'operator')));
  }

  /** Phase of the newest state that an agent has on its disk. */
  phaseOf(silo: string, study: string): string {
    const folder = join(this.work, 'silos', silo, 'rounds', study);
    try {
      const newest = readdirSync(folder)
        .filter((name) => name.endsWith('.json'))
        .sort((a, b) => a.localeCompare(b, undefined, { numeric: true }))
        .at(-1);
      if (newest === undefined) return 'nothing';
      return (JSON.parse(readFileSync(join(folder, newest), 'utf8')) as { phase: string }).phase;
    } catch {
      return 'nothing';
    }
  }

  async #found(): Promise<void> {
    const { aggregator, passphraseFile } = await foundConsortium(this.box, {
      keepMaskedVectors: false,
    });
    await enrolSilos(this.box, passphraseFile);
    aggregator.kill('SIGTERM');
    await aggregator.ended;
    const home = join(this.work, 'aggregator');
    const bound = JSON.parse(readFileSync(join(home, 'endpoints.json'), 'utf8')) as {
      readonly enrolment: string;
      readonly rounds: string;
    };
    // Agents know the ports that were bound; a started one must bind them again. Killed ones are waited for.
    await editDocument(join(home, 'aggregator.yaml'), (yaml) => {
      yaml.setIn(['listen', 'enrolment'], bound.enrolment);
      yaml.setIn(['listen', 'rounds'], bound.rounds);
      yaml.set('disconnectGraceMs', 60_000);
      yaml.set('startGraceMs', 60_000);
    });
    this.start('aggregator');
    for (const silo of RealConsortium.SILOS) this.start(silo);
  }
}

/** Steps of the open round at which processes are killed. */
export const KILL_STEPS = ['advertise', 'share', 'mask', 'confirm', 'release'] as const;
type KillStep = (typeof KILL_STEPS)[number];
const VICTIMS = ['aggregator', 'agent before it answers', 'agent after it answered'] as const;
type Victim = (typeof VICTIMS)[number];

export interface Kill {
  readonly victim: Victim;
  readonly step: KillStep;
  /** What the agent had on its disk. */
  readonly phase: string | undefined;
}

export interface RealResult {
  readonly kills: readonly Kill[];
  /** Hash of the last model: of the study that nothing disturbed, and of the one that was killed. */
  readonly undisturbed: string;
  readonly killed: string;
  /** Attempts that were given up on the way. */
  readonly aborted: number;
  readonly verified: boolean;
}

/** The round that is stopped: one agent stands still, so that its step cannot end. */
const STOPPED = 'cedar';
const OTHER = 'alder';

/**
 * Runs one study undisturbed and the same one again while its processes are killed with SIGKILL at every
 * step, and started again. `most` bounds the kills.
 */
export async function runKills(
  rounds: number,
  most: number,
  say: (line: string) => void,
): Promise<RealResult> {
  const consortium = await RealConsortium.found(say);
  try {
    const admin = await consortium.admin();
    const status = async (study: string): Promise<StudyStatus__Output | undefined> =>
      admin.getStudyStatus({ study }).catch(() => undefined);
    const finish = (study: string): Promise<StudyStatus__Output> =>
      until(`${study} ends`, async () => {
        const present = await status(study);
        return hasEnded(present) ? present : undefined;
      });
    await until('the aggregator listens', () => admin.listSilos({}).catch(nothing));
    await consortium.propose('calm', rounds);
    await consortium.propose('killed', rounds);
    say(`an undisturbed study of ${rounds} rounds`);
    await consortium.operator('study', 'start', 'calm');
    const calm = await finish('calm');
    await consortium.operator('study', 'start', 'killed');
    const wanted = KILL_STEPS.flatMap((step) => VICTIMS.map((victim) => ({ step, victim })));
    const kills: Kill[] = [];
    while (wanted.length > 0 && kills.length < most) {
      const kill = await strike(consortium, wanted, () => status('killed'));
      if (kill === undefined) break;
      wanted.splice(
        wanted.findIndex(({ step, victim }) => step === kill.step && victim === kill.victim),
        1,
      );
      kills.push(kill);
      say(`killed in ${kill.step}: ${kill.victim} ${kill.phase ? `(${kill.phase})` : ''}`);
    }
    const killed = await finish('killed');
    const models = [
      await lastModel(admin, 'calm', calm),
      await lastModel(admin, 'killed', killed),
    ] as const;
    admin.close();
    return {
      kills,
      undisturbed: models[0],
      killed: models[1],
      aborted: killed.rounds.filter(({ step }) => step === 'aborted').length,
      verified: await consortium.verify(),
    };
  } finally {
    await consortium.close();
  }
}

/** Holds the round in some step that is wanted, kills whom it may, lets it go on; undefined at the end. */
async function strike(
  consortium: RealConsortium,
  wanted: readonly { readonly step: KillStep; readonly victim: Victim }[],
  status: () => Promise<StudyStatus__Output | undefined>,
): Promise<Kill | undefined> {
  const aim = wanted[0]!;
  // Whoever was killed before has come back: the round in which it was is over.
  const closed = await until('the rounds so far', async () => closedOf(await status()));
  await until('another round', async () => {
    const present = await status();
    return (closedOf(present) ?? 0) > closed || hasEnded(present) ? true : undefined;
  });
  for (;;) {
    // The step before: by the time that the agent stands still, the next one has begun.
    const before = await until('a step', async () => {
      const present = await status();
      if (hasEnded(present)) return { isOver: true };
      const step = present && openStep(present);
      return step !== undefined && isNear(step, aim.step) ? { isOver: false } : undefined;
    });
    if (before.isOver) return undefined;
    await consortium.signal(STOPPED, 'SIGSTOP');
    const held = await settled(status);
    const hit = wanted.find(({ step }) => step === held);
    const kill = hit && (await kill1(consortium, hit));
    if (hit?.victim !== 'agent before it answers' || !kill)
      await consortium.signal(STOPPED, 'SIGCONT');
    if (kill) return kill;
    // Held in a step that is not wanted any more: it must get out of it before it is held again.
    await until('the next step', async () => {
      const present = await status();
      return hasEnded(present) || (present && openStep(present) !== held) ? true : undefined;
    });
  }
}

async function kill1(
  consortium: RealConsortium,
  { step, victim }: { readonly step: KillStep; readonly victim: Victim },
): Promise<Kill | undefined> {
  if (victim === 'aggregator') {
    consortium.continuedAt = undefined;
    await consortium.signal('aggregator', 'SIGKILL');
    consortium.start('aggregator');
    const at = await until('the aggregator goes on', async () => consortium.continuedAt);
    return at === step ? { step, victim, phase: undefined } : undefined;
  }
  const silo = victim === 'agent before it answers' ? STOPPED : OTHER;
  await consortium.signal(silo, 'SIGKILL');
  const phase = consortium.phaseOf(silo, 'killed');
  consortium.start(silo);
  return { step, victim, phase };
}

function closedOf(status: StudyStatus__Output | undefined): number | undefined {
  return status?.rounds.filter(({ step }) => step === 'closed').length;
}

function hasEnded(status: StudyStatus__Output | undefined): boolean {
  return status !== undefined && status.summary?.state !== 'active';
}

function openStep({ rounds }: StudyStatus__Output): string | undefined {
  return rounds.find(({ step }) => step !== 'closed' && step !== 'aborted')?.step;
}

const ORDER = ['unmask', ...KILL_STEPS] as const;

function isNear(step: string, aim: KillStep): boolean {
  const place = ORDER.findIndex((one) => one === aim);
  return step === aim || step === ORDER[place - 1];
}

/** The step in which the round stays: everybody has answered but the one that stands still. */
async function settled(
  status: () => Promise<StudyStatus__Output | undefined>,
): Promise<string | undefined> {
  let last: string | undefined;
  let sinceMs = performance.now();
  return until('the round stands still', async () => {
    const present = await status();
    const step = present && (openStep(present) ?? present.summary?.state);
    if (step !== last) sinceMs = performance.now();
    last = step;
    return performance.now() - sinceMs > STILL_MS ? (step ?? 'none') : undefined;
  });
}

const POLL_MS = 4;
const STILL_MS = 250;
const LIMIT_MS = 120_000;

async function until<T>(what: string, ready: () => Promise<T | undefined>): Promise<T> {
  const limitMs = performance.now() + LIMIT_MS;
  for (;;) {
    const value = await ready();
    if (value !== undefined) return value;
    if (performance.now() > limitMs) throw new MedleyError('DEMO_STEP_FAILED', `no end: ${what}`);
    await systemClock.sleep(POLL_MS);
  }
}

function nothing(): undefined {
  return undefined;
}

async function lastModel(
  admin: Client<AdminMethods>,
  study: string,
  { summary }: StudyStatus__Output,
): Promise<string> {
  if (summary?.state !== 'completed')
    throw new MedleyError('DEMO_STEP_FAILED', `${study} ended as ${summary?.state ?? 'nothing'}`);
  const { state } = await admin.getModel({ study });
  return Buffer.from(state?.sha256 ?? []).toString('hex');
}
