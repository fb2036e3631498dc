import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Moment, Verdict } from './moment.ts';
import type { World } from './world.ts';

/** How a fault is done to a run; made anew for each case. */
export type Strike = (world: World, moment: Moment, isIt: boolean) => Verdict | undefined;

/** One column of the matrix. */
export interface Fault {
  readonly name: string;
  /** Moments at which it can strike. */
  readonly strikesAt: (moment: Moment) => boolean;
  /** Told of every moment of a run; `isIt` says that now is the time. */
  readonly make: () => Strike;
}

const RESTART_MS = 300;
/** Longer than training and a step together: whatever waits for it has given up. */
const LATE_MS = 200_000;
const OUTAGE_MS = 5_000;
const JUMP_MS = 20 * 60_000;

/** Does something to the world. */
const fault = (
  name: string,
  strikesAt: Fault['strikesAt'],
  act: (world: World, moment: Moment) => void,
): Fault => ({
  name,
  strikesAt,
  make: () => (world, moment, isIt) => {
    if (isIt) act(world, moment);
    return undefined;
  },
});

/** Does something to the message itself. */
const spoilt = (name: string, strikesAt: Fault['strikesAt'], verdict: Verdict): Fault => ({
  name,
  strikesAt,
  make: () => (_world, _moment, isIt) => (isIt ? verdict : undefined),
});

const isAgent = ({ who }: Moment): boolean => who > 0;
const isHub = ({ who }: Moment): boolean => who === 0;
const signs = ({ kind }: Moment): boolean => kind === 'sign';
const sends = ({ kind }: Moment): boolean => kind === 'send';
const answers = ({ kind }: Moment): boolean => kind === 'reply';
const masks = ({ step }: Moment): boolean => step === 'mask';
const before = ({ who, kind }: Moment): boolean =>
  who === 0 && (kind === 'begin' || kind === 'put');
const after = ({ who, kind }: Moment): boolean =>
  who === 0 && (kind === 'end' || kind === 'placed');
const transfers = ({ step }: Moment): boolean => step === 'mask' || step === 'close';

/** What can go wrong with an agent. */
const AGENT: readonly Fault[] = [
  fault('agent killed before it writes', signs, (world, { who }) =>
    world.killSite(who, RESTART_MS),
  ),
  {
    name: 'agent killed while it writes',
    strikesAt: (moment) => signs(moment) || (sends(moment) && masks(moment)),
    make: halfWritten,
  },
  fault(
    'agent killed before it sends',
    (moment) => isAgent(moment) && sends(moment),
    (world, { who }) => world.killSite(who, RESTART_MS),
  ),
  fault('agent killed before the answer', answers, (world, { who }) =>
    world.killSite(who, RESTART_MS),
  ),
  fault(
    'agent away for long',
    (moment) => signs(moment) || sends(moment),
    (world, { who }) => world.killSite(who, LATE_MS),
  ),
  fault(
    'power cut at the agent',
    (moment) => sends(moment) && masks(moment),
    (world, { who }) => world.killSite(who, RESTART_MS, (home) => loseVectors(home)),
  ),
  fault('agent’s disk full', signs, (world, { who }) => world.blockSite(who, OUTAGE_MS)),
  fault('agent’s clock forward', sends, (world, { who }) => world.skew(who, JUMP_MS)),
  fault('agent’s clock back', sends, (world, { who }) => world.skew(who, -JUMP_MS)),
];

/** What can go wrong with the aggregator. */
const HUB: readonly Fault[] = [
  fault('aggregator killed before commit', before, (world) => world.killHub(RESTART_MS)),
  fault('aggregator killed after commit', after, (world) => world.killHub(RESTART_MS)),
  fault('aggregator away for long', after, (world) => world.killHub(LATE_MS)),
  fault(
    'database full',
    (moment) => isHub(moment) && moment.kind === 'end',
    (world) => {
      const hub = world.hub()!;
      void hub.fillDisk(true);
      world.after(OUTAGE_MS, () => hub.fillDisk(false));
    },
  ),
  fault(
    'blob folder full',
    (moment) => (sends(moment) && masks(moment)) || (isHub(moment) && moment.step === 'unmask'),
    (world) => {
      const hub = world.hub()!;
      hub.fillBlobs(true);
      world.after(OUTAGE_MS, () => hub.fillBlobs(false));
    },
  ),
  fault('aggregator’s clock forward', after, (world) => world.skew(0, JUMP_MS)),
  fault('aggregator’s clock back', after, (world) => world.skew(0, -JUMP_MS)),
];

/** What can go wrong between them. */
const NETWORK: readonly Fault[] = [
  spoilt('message lost', sends, { do: 'lose' }),
  spoilt('answer lost', answers, { do: 'lose' }),
  spoilt('message doubled', sends, { do: 'double' }),
  spoilt('message overtaken', sends, { do: 'delay', ms: 60 }),
  spoilt('message late', sends, { do: 'delay', ms: LATE_MS }),
  spoilt('transfer cut', (moment) => sends(moment) && transfers(moment), {
    do: 'cut',
    afterPieces: 2,
  }),
  fault('streams cut', sends, (world) => world.network.cutStreams()),
  fault('network down', sends, (world) => {
    world.network.setUp(false);
    world.after(OUTAGE_MS, () => world.network.setUp(true));
  }),
];

export const FAULTS: readonly Fault[] = [...AGENT, ...HUB, ...NETWORK];

/**
 * Between two writes. Before a signature: a temporary file of the state lies there. Of a masked vector:
 * the vector is there and the state that names it is not.
 */
function halfWritten(): Strike {
  const states = new Map<number, ReadonlyMap<string, Uint8Array>>();
  return (world, { who, kind, step }, isIt) => {
    if (kind === 'sign' && step === 'mask') states.set(who, filesOf(world.roundsFolder(who)));
    if (!isIt) return undefined;
    const part = (folder: string): void =>
      writeFileSync(join(folder, '.0123456789abcdef.tmp'), '{"medley":"session/v1","rou');
    const earlier = states.get(who);
    const back = (folder: string): void => {
      for (const [name, bytes] of earlier ?? []) writeFileSync(join(folder, name), bytes);
    };
    world.killSite(who, RESTART_MS, inRounds(kind === 'sign' ? part : back));
    return undefined;
  };
}

/** The masked vectors of an agent are written without waiting for the disk. */
function loseVectors(home: string): void {
  inRounds((folder) => {
    for (const name of readdirSync(folder))
      if (name.endsWith('.vector')) truncateSync(join(folder, name), 10);
  })(home);
}

function inRounds(work: (folder: string) => void): (home: string) => void {
  return (home) => {
    const rounds = join(home, 'rounds');
    for (const study of namesIn(rounds)) work(join(rounds, study));
  };
}

function filesOf(folder: string): ReadonlyMap<string, Uint8Array> {
  const states = namesIn(folder).filter((name) => name.endsWith('.json'));
  return new Map(states.map((name) => [name, readFileSync(join(folder, name))]));
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
