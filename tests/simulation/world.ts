import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RoundRow, StudyRow } from '@medley/aggregator';
import { MedleyError, type Logger } from '@medley/kit';
import { Ledger } from '../../services/aggregator/src/log/ledger.ts';
import { encodeEvent } from '@medley/trail';
import type { Consortium } from './consortium.ts';
import { Hub, type HubSetup } from './hub.ts';
import {
  Counter,
  keyOf,
  type Moment,
  type MomentKind,
  type StepName,
  type Verdict,
} from './moment.ts';
import { Network, type Letter } from './network.ts';
import { Site } from './site.ts';
import { calm, SimTime, type Life } from './time.ts';

/** What a run left behind. */
export interface Run {
  readonly rounds: readonly RoundRow[];
  readonly study: StudyRow;
  readonly tape: readonly Letter[];
  /** progress.json of every agent, by roster index. */
  readonly progress: ReadonlyMap<
    number,
    { readonly nextRound: number; readonly modelHash: string }
  >;
  readonly moments: readonly Moment[];
  readonly resumed: number;
  /** Why the run did not come to its end. */
  readonly stuck: string | undefined;
  /** Why the log does not verify. */
  readonly logFault: string | undefined;
}

export interface WorldOptions {
  readonly consortium: Consortium;
  /** Empty or missing; removed at the end. */
  readonly folder: string;
  readonly seed: string;
  readonly logger?: Logger;
  /** To the end of the study, else until everybody has verified its first round. */
  readonly isWhole: boolean;
  /** Strikes: told of every moment, before anything else happens. */
  readonly strike?: (world: World, moment: Moment) => Verdict | undefined;
}

/** Longest that a run may take, in simulated time and in things that happen. */
const LONGEST_MS = 3_600_000;
const MOST_EVENTS = 12_000;

/** One consortium from the start of its study to the end, in simulated time. */
export class World {
  readonly time: SimTime;
  readonly network: Network;
  readonly #options: WorldOptions;
  readonly #counter = new Counter();
  readonly #moments: Moment[] = [];
  readonly #sites = new Map<number, Site>();
  readonly #hubs: Hub[] = [];
  readonly #done = new Set<number>();
  readonly #gone = new Set<number>();
  #hub: Hub | undefined;
  #lives = 0;
  #study: StudyRow['state'] = 'active';
  #failure: Error | undefined;
  readonly #clockLife: Life = { isAlive: true, skewMs: 0 };

  constructor(options: WorldOptions) {
    this.#options = options;
    this.time = new SimTime(options.consortium.startMs);
    this.network = new Network({
      time: this.time,
      seed: options.seed,
      hub: () => this.#hub,
      onMoment: (who, kind, step, round) => this.#moment(who, kind, step, round),
    });
  }

  /** Runs the study to its end. */
  async run(): Promise<Run> {
    const { folder, consortium } = this.#options;
    mkdirSync(folder, { recursive: true });
    const first = this.#nextFolder('hub');
    cpSync(join(consortium.folder, 'hub'), first, { recursive: true });
    await this.#startHub(first);
    for (const { index, silo } of consortium.members) {
      const home = this.#nextFolder(silo);
      cpSync(join(consortium.folder, silo), home, { recursive: true });
      this.#startSite(index, home);
    }
    const stuck = await this.#toTheEnd();
    const run = await this.#result(stuck);
    for (const site of this.#sites.values()) site.discard();
    for (const hub of this.#hubs) await hub.discard();
    rmSync(folder, { recursive: true, force: true });
    return run;
  }

  /** SIGKILL for the aggregator, and a start from its disk after a while. */
  killHub(restartMs = 300): void {
    const hub = this.#hub;
    if (!hub?.life.isAlive) return;
    const next = this.#nextFolder('hub');
    hub.kill(next);
    this.after(restartMs, () => this.#startHub(next, hub.life.skewMs));
  }

  /**
   * SIGKILL for an agent, and a start from its disk after a while, never without `restartMs`. `meddle`
   * makes of the disk what it may also be at that instant.
   */
  killSite(who: number, restartMs?: number, meddle?: (folder: string) => void): void {
    const site = this.#sites.get(who);
    if (!site?.life.isAlive) return;
    const { silo } = this.#options.consortium.members[who - 1]!;
    const next = this.#nextFolder(silo);
    site.kill(next);
    // The operating system closes the connections of a process that is gone.
    this.network.cutStreams(site.life);
    meddle?.(next);
    if (restartMs === undefined) this.#gone.add(who);
    else this.after(restartMs, () => this.#startSite(who, next, site.life.skewMs));
  }

  /** Moves the wall clock of one process. */
  skew(who: number, ms: number): void {
    const life = who === 0 ? this.#hub?.life : this.#sites.get(who)?.life;
    if (life) life.skewMs += ms;
  }

  hub(): Hub | undefined {
    return this.#hub;
  }

  /** Where an agent keeps the states of its rounds. */
  roundsFolder(who: number): string {
    return join(this.#sites.get(who)!.folder, 'rounds', this.#options.consortium.study.name);
  }

  /** Nothing can be written to an agent's round states for a while. */
  blockSite(who: number, ms: number): void {
    const folder = this.roundsFolder(who);
    mkdirSync(folder, { recursive: true });
    renameSync(folder, `${folder}.away`);
    writeFileSync(folder, '');
    this.after(ms, () => {
      rmSync(folder);
      renameSync(`${folder}.away`, folder);
    });
  }

  /** Does something in simulated time. */
  after(ms: number, work: () => void | Promise<void>): void {
    this.time
      .of(this.#clockLife)
      .sleep(ms)
      .then(work)
      .catch((caught: unknown) => (this.#failure ??= MedleyError.from(caught)));
  }

  async #startHub(folder: string, skewMs = 0): Promise<void> {
    const { consortium, seed, logger } = this.#options;
    const setup: HubSetup = {
      ...consortium,
      time: this.time,
      seed,
      gatherMs: 15,
      ...(logger && { logger: logger.with({ silo: 'hub' }) }),
      onMoment: (kind, step, round) => void this.#moment(0, kind, step, round),
      onStudy: ({ state }) => (this.#study = state),
    };
    this.#hub = await Hub.start(setup, folder, skewMs);
    this.#hubs.push(this.#hub);
    // A change may have been committed and never told.
    this.#study = (await this.#hub.tables.studies.get(consortium.study.name))!.state;
  }

  #startSite(who: number, folder: string, skewMs = 0): void {
    const { consortium, seed, logger, isWhole } = this.#options;
    const site = new Site(
      {
        member: consortium.members[who - 1]!,
        network: this.network,
        time: this.time,
        seed,
        ...(logger && { logger }),
        onMoment: (...args) => void this.#moment(...args),
        onVerified: (isLast) => {
          if (isLast || !isWhole) this.#done.add(who);
        },
      },
      folder,
      skewMs,
    );
    this.#sites.set(who, site);
  }

  #moment(who: number, kind: MomentKind, step: StepName, round: number): Verdict | undefined {
    const moment = this.#counter.next({ who, kind, step, round });
    this.#moments.push(moment);
    this.#options.logger?.debug('moment', { detail: keyOf(moment) });
    return this.#options.strike?.(this, moment);
  }

  #nextFolder(name: string): string {
    this.#lives += 1;
    return join(this.#options.folder, `${name}-${String(this.#lives).padStart(2, '0')}`);
  }

  /** Why the run did not end, undefined when it did. */
  async #toTheEnd(): Promise<string | undefined> {
    const { startMs, members } = this.#options.consortium;
    for (let events = 0; ; events++) {
      await calm(() => this.#hub?.isBusy === true);
      if (this.#failure !== undefined) return `the simulation failed: ${this.#failure.stack ?? ''}`;
      const waiting = members.filter(
        ({ index }) => !this.#done.has(index) && !this.#gone.has(index),
      );
      const isOver = this.#study === 'completed' || !this.#options.isWhole;
      if (isOver && waiting.length === 0) return undefined;
      if (this.#study !== 'active' && this.#study !== 'completed') return undefined;
      if (events > MOST_EVENTS || this.time.nowMs - startMs > LONGEST_MS) {
        return `still ${this.#study} after ${this.time.nowMs - startMs} ms; not done: ${waiting.map(({ silo }) => silo).join(' ')}`;
      }
      if (!this.time.next()) return 'nothing happens any more';
    }
  }

  async #result(stuck: string | undefined): Promise<Run> {
    const { study, members, logKey } = this.#options.consortium;
    const hub = this.#hub!;
    const rounds = await hub.tables.rounds.of(study.name);
    const row = (await hub.tables.studies.get(study.name))!;
    const progress = members
      .filter(({ index }) => !this.#gone.has(index))
      .map(({ index }) => [index, this.#progressOf(index)] as const);
    const store = { tables: hub.tables } as never;
    const clock = this.time.of(this.#clockLife);
    const check = { store, key: logKey, consortium: 'test', clock, encode: encodeEvent };
    const logFault = await Ledger.open(check).then(
      () => undefined,
      (caught: unknown) => String(caught),
    );
    return {
      rounds,
      study: row,
      tape: this.network.tape,
      progress: new Map(progress),
      moments: this.#moments,
      resumed: this.network.resumed,
      stuck,
      logFault,
    };
  }

  #progressOf(who: number): { readonly nextRound: number; readonly modelHash: string } {
    const { study } = this.#options.consortium;
    const file = join(this.#sites.get(who)!.folder, 'studies', study.name, 'progress.json');
    try {
      return JSON.parse(readFileSync(file, 'utf8')) as { nextRound: number; modelHash: string };
    } catch {
      return { nextRound: 0, modelHash: '' };
    }
  }
}
