// The aggregator of the flood, a process of its own: its memory is measured and nobody else's.
import { SERVER_LIMITS } from '@medley/rpc';
import { TestConsortium, freshIdentity } from '../support/aggregator.ts';
import { seat } from './enrolled.ts';
import { heldBytes } from './memory.ts';

/** What a started server tells. */
export interface Ready {
  readonly rounds: string;
  readonly enrolment: string;
  readonly caPem: string;
  readonly silos: readonly { readonly certPem: string; readonly keyPem: string }[];
}

/** What it holds, and the most that its process ever had. */
export interface Held {
  readonly heldBytes: number;
  readonly peakBytes: number;
}

const silos = Number(process.argv[2]);
const own = silos + 32;
const consortium = await TestConsortium.create(undefined, {
  limits: {
    ...SERVER_LIMITS,
    ...{ connections: 3 * own, connectionsPerAddress: own, handshakeSeconds: 2 },
    ...{ callsPerSecond: 50, maxModelBytes: 2 ** 20 },
  },
});
const made = Array.from({ length: silos }, (_, i) => {
  const name = `silo-${i + 1}`;
  return { name, ...consortium.authority.issue('silo', name) };
});
const seats = made.map(({ name, serial }) => ({
  ...{ name, serial },
  identityKey: freshIdentity().publicKey,
}));
await seat(consortium.store, seats, Date.now());
const { roundsAddress: rounds, enrolmentAddress: enrolment } = consortium.aggregator;
const ready: Ready = {
  ...{ rounds, enrolment, caPem: consortium.authority.caPem },
  silos: made.map(({ certPem, keyPem }) => ({ certPem, keyPem })),
};
process.send!(ready);
process.on('message', () => {
  const held: Held = { heldBytes: heldBytes(), peakBytes: process.resourceUsage().maxRSS * 1024 };
  process.send!(held);
});
process.on('disconnect', () => void consortium.remove().then(() => process.exit(0)));
