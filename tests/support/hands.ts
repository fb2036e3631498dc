import { buildMlp } from '@medley/autodiff';
import { featureCount, type Charter, type Study } from '@medley/study';
import type { SiteData } from '../../silo-agent/src/connectors/site.ts';
import type { WorkTask } from '../../silo-agent/src/training/work.ts';
import { charterFor } from './federation.ts';
import { HEADER, makeSite, smallStudy } from './site.ts';

/** Forty patients whose outcome hangs on marker and stage, with some noise. */
export function learnableRows(shift = 0): string {
  const lines = Array.from({ length: 40 }, (_, i) => {
    const marker = 20 + ((i * 37 + shift) % 80);
    const died = marker > 50 !== (i % 19 === 0) ? 1 : 0;
    const stage = ['I', 'II', 'III'][(i + shift) % 3]!;
    return `${20 + ((i * 7 + shift) % 60)},${stage},${marker},${died},${died ? 4 : 30}\n`;
  });
  return HEADER + lines.join('');
}

export interface Hands {
  readonly study: Study;
  readonly charter: Charter;
  readonly model: Uint8Array;
  readonly site: SiteData;
  /** A task of this study; `state` is needed for all kinds but statistics. */
  task(kind: WorkTask['kind'], state?: Uint8Array): WorkTask;
  remove(): Promise<void>;
}

/** A study, its charter over five silos, a logistic model and one site with data. */
export async function makeHands(change?: (yaml: string) => string): Promise<Hands> {
  const study = smallStudy(change);
  const model = buildMlp({
    features: featureCount(study),
    hidden: [],
    outputs: 1,
    activation: 'tanh',
    seed: 'hands',
    inputName: 'features',
    outputName: 'logit',
  });
  const charter = charterFor(study, model, 5);
  const made = await makeSite({ 'a.csv': learnableRows() });
  const { site } = made;
  const task = (kind: WorkTask['kind'], state = new Uint8Array()): WorkTask => ({
    ...{ kind, study, charter, model, site, state, seed: 'order' },
  });
  return { study, charter, model, site, task, remove: () => made.remove() };
}
