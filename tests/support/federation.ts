import { initialParameters, inspectModel } from '@medley/autodiff';
import { seededRng, systemClock, utf8 } from '@medley/kit';
import { encodeVector } from '@medley/secagg';
import {
  DEFAULT_FLOORS,
  draftCharter,
  encodeModelState,
  firstRound,
  kindOfRound,
  lastRound,
  layoutFor,
  settleRound,
  type Charter,
  type ModelState,
  type Study,
} from '@medley/study';
import type { SiteData } from '../../silo-agent/src/connectors/site.ts';
import { InThreadWork } from '../../silo-agent/src/training/local.ts';
import type { LocalSummary } from '../../silo-agent/src/training/work.ts';

export interface Federation {
  readonly study: Study;
  readonly model: Uint8Array;
  readonly sites: readonly SiteData[];
  readonly seed: string;
}

export interface FederationResult {
  readonly state: ModelState;
  /** `[round][site]` */
  readonly summaries: readonly (readonly LocalSummary[])[];
  readonly metrics: readonly unknown[];
}

export function charterFor(study: Study, model: Uint8Array, silos: number): Charter {
  return draftCharter({
    consortium: 'test',
    study,
    studyBytes: utf8('study'),
    modelBytes: model,
    modelParameters: inspectModel(model).parameterCount,
    roster: Array.from({ length: silos }, (_, i) => ({
      silo: `silo-${i}`,
      identityKey: new Uint8Array(32).fill(i + 1),
    })),
    log: { origin: 'medley/test', verifierKey: 'test+00000000+AAAA' },
    nowMs: 0,
    floors: { ...DEFAULT_FLOORS, minPatients: 1 },
  });
}

/** Every round of a study with quantised vectors added up in the open: all but masks and network. */
export async function runFederation(federation: Federation): Promise<FederationResult> {
  const { study, model, sites, seed } = federation;
  const charter = charterFor(study, model, sites.length);
  const works = sites.map(() => new InThreadWork(systemClock));
  let state: ModelState = { parameters: initialParameters(model), standardisation: null };
  const summaries: LocalSummary[][] = [];
  const metrics: unknown[] = [];
  for (let round = firstRound(study); round <= lastRound(study); round++) {
    const kind = kindOfRound(study, round)!;
    const layout = layoutFor(study, charter, kind);
    const bytes = encodeModelState(state);
    const sum = new Uint32Array(layout.reduce((length, slot) => length + slot.length, 0));
    const row: LocalSummary[] = [];
    for (const [i, site] of sites.entries()) {
      const salt = `${seed}/${round}/${i}`;
      const task = { kind, study, charter, model, site, state: bytes, seed: salt };
      const { values, summary } = await works[i]!.perform(task);
      encodeVector(layout, values, seededRng(salt)).forEach((word, k) => {
        sum[k] = sum[k]! + word;
      });
      row.push(summary);
    }
    const next = settleRound({ study, charter, kind, state, sum });
    state = next.state;
    summaries.push(row);
    metrics.push(next.metrics);
  }
  await Promise.all(works.map((work) => work.close()));
  return { state, summaries, metrics };
}
