import { dirname, join } from 'node:path';
import type { Document } from 'yaml';
import { buildMlp } from '@medley/autodiff';
import { readBytes, writeDurably } from '@medley/kit';
import { featureCount, readStudy, type Study } from '@medley/study';
import { agentHome, operatorHome, type Box } from './box.ts';
import { copyStudy } from './silos.ts';

const HIDDEN_UNITS = 16;

/**
 * Step 3: a study is proposed and every hospital's steward signs its charter. `variant` says how it
 * differs from the study file and where it lies.
 */
export async function proposeStudy(
  box: Box,
  variant: { readonly folder: string; readonly edit: (study: Document) => void } = {
    folder: 'study',
    edit: () => undefined,
  },
): Promise<{ study: Study; folder: string }> {
  const folder = join(box.work, variant.folder);
  const file = join(folder, 'study.yaml');
  await copyStudy(box.source.studyFile, file, box.rounds, variant.edit);
  const study = readStudy(await readBytes(file), file);
  const model = buildMlp({
    features: featureCount(study),
    hidden: [HIDDEN_UNITS],
    outputs: 1,
    activation: 'tanh',
    seed: study.split.seed,
    inputName: study.model.input,
    outputName: study.model.output,
  });
  await writeDurably(join(dirname(file), study.model.file), model);
  await box.programs.call('medley', 'study', 'propose', folder, '--home', operatorHome(box));
  for (const silo of box.source.silos) {
    await box.programs.call(
      'medley-agent',
      ...['study', 'sign', study.name, '--as', `Steward of ${silo.title}`, '--yes'],
      ...['--home', agentHome(box, silo)],
    );
  }
  return { study, folder };
}
