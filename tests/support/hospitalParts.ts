import { timestamp, type Clock } from '@medley/kit';
import type { SessionTerms } from '@medley/secagg';
import type { Floors } from '@medley/study';
import { encodeEvent, type ReceiptJson } from '@medley/trail';
import type { PrivacySettings } from '../../silo-agent/src/config.ts';
import { homePaths, type AgentHome } from '../../silo-agent/src/home.ts';
import type { BlobName } from '../../silo-agent/src/round/task.ts';

/** The time of every test federation. */
export const NOW_MS = Date.parse('2026-11-23T08:00:00.000Z');

/** A clock that never waits: pauses between tries take no time. */
export const HASTY_CLOCK: Clock = {
  nowMs: () => NOW_MS,
  sleep: async (_ms, signal) => {
    signal?.throwIfAborted();
  },
};

/** The settings of one member, whose folder need not exist. */
export function memberHome(
  folder: string,
  silo: string,
  policy: Floors,
  privacy: PrivacySettings,
): AgentHome {
  return {
    paths: homePaths(folder),
    config: {
      apiVersion: 'medley/v1',
      kind: 'Agent',
      site: { id: silo, name: silo },
      policy,
      privacy,
      network: {},
      connectors: [],
    },
    site: { folder, connectors: [] },
  };
}

/** The leaf of a closed round. */
export function closedLeaf(
  consortium: string,
  { study, round, attempt, kind, modelHash }: SessionTerms,
  receipt: ReceiptJson,
  { aggregate, nextModel }: { readonly aggregate: BlobName; readonly nextModel: BlobName },
): Uint8Array {
  return encodeEvent({
    v: 1,
    type: 'round.closed',
    at: timestamp(NOW_MS),
    consortium,
    actor: { kind: 'aggregator', id: 'aggregator' },
    outcome: 'ok',
    ...{ study, round, attempt },
    data: {
      kind,
      receipt,
      aggregateHash: aggregate.hex,
      modelHash,
      nextModelHash: nextModel.hex,
    },
  });
}
