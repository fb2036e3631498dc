export { exportModel, type ExportOptions } from './export.ts';
export type { Warning } from './file/advice.ts';
export { embedExternalData, readModelFile, type ExternalPart } from './file/external.ts';
export { runGoldenCase, GOLDEN_TOLERANCE, type GoldenResult } from './golden/run.ts';
export { gradient } from './gradient.ts';
export type { DType } from './graph/dtype.ts';
export type { BatchNormMode, RunningVariance } from './graph/mode.ts';
export type { Dim, Shape } from './graph/shape.ts';
export { initialParameters, inspectModel, type ModelReport, type Port } from './inspect.ts';
export { LOSSES, type LossName, type LossOptions, type LossRecord } from './loss/loss.ts';
export { buildMlp, type MlpOptions } from './mlp.ts';
export type { ClipOptions, GradientOptions, OptimizerOptions } from './optimizer/optimizer.ts';
export { learningRateAt, learningRates, type LearningRateSchedule } from './optimizer/schedule.ts';
export type { ModelOptions, Parameter, Role } from './parameters.ts';
export type { Unsupported } from './path.ts';
export { trainingReport, type TrainingReport } from './report/report.ts';
export { reportText } from './report/text.ts';
export type { Elements, RunRecord, TensorRecord } from './session.ts';
export { compileTraining } from './standard/compile.ts';
export { readTensorFile } from './standard/tensorFile.ts';
export { writeTrainingInfo } from './standard/trainingInfo.ts';
export { buildTraining } from './training/build.ts';
export type { Inputs, TensorInput } from './training/feed.ts';
export {
  fit,
  type FitCall,
  type FitProgress,
  type Fitted,
  type FittedEpoch,
  type FitWatch,
} from './training/fit.ts';
export {
  ENGINE_VERSION,
  type DataSpec,
  type TrainingArtifacts,
  type TrainingManifest,
  type TrainingOptions,
} from './training/manifest.ts';
export type { ClippingMethod, PrivacyOptions } from './training/private/method.ts';
export { privateUpdates, type PrivateUpdatesCall } from './training/private/epoch.ts';
export { poissonLots, type Lots } from './training/private/lots.ts';
export { gaussianNoise } from './training/private/noise.ts';
export {
  initialSlots,
  Trainer,
  type EpochCall,
  type Evaluation,
  type RowsCall,
  type StateVectors,
  type StepCall,
  type TrainerOptions,
  type TrainingCall,
  type TrainingState,
} from './training/trainer.ts';
