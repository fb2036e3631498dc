import { buildMlp } from '@medley/autodiff';
import { utf8 } from '@medley/kit';
import { EXAMPLE_STUDY, featureCount, readStudy } from '@medley/study';

const STUDY_TEXT = EXAMPLE_STUDY.replace('count: 30', 'count: 2').replace(
  'scoreBins: 50',
  'scoreBins: 10',
);
/** The example study with two training rounds. */
export const STUDY_BYTES = utf8(STUDY_TEXT);
export const STUDY = readStudy(STUDY_BYTES, 'study.yaml');
/** Its model: logistic regression. */
export const MODEL = buildMlp({
  features: featureCount(STUDY),
  hidden: [],
  outputs: 1,
  activation: 'relu',
  seed: 'test',
  inputName: STUDY.model.input,
  outputName: STUDY.model.output,
});
