export {
  epsilonOf,
  leastNoise,
  noiseFor,
  type Accountant,
  type NoiseTarget,
} from './accountant/calibrate.ts';
export {
  discreteGaussianRdp,
  localVariance,
  noiseInMean,
  roundedNorm,
  skellamRdp,
  type DistributedSum,
} from './accountant/distributed.ts';
export { epsilonLowerBound, type CanaryGuesses } from './audit/oneRun.ts';
export { deltaOfMu, epsilonOfMu, limitMu } from './accountant/gdp.ts';
export type { SampledGaussian } from './accountant/mechanism.ts';
export { deltaFromLosses, epsilonFromLosses } from './accountant/pld.ts';
export {
  composeRdp,
  deltaFromRdp,
  epsilonFromRdp,
  ORDERS,
  rdpOf,
  type RdpEpsilon,
} from './accountant/rdp.ts';
export { checkFinite, clipL2, normL2, type ClipReport, type TensorSpan } from './clip.ts';
export { discreteGaussianNoise } from './noise/discreteGaussian.ts';
export { skellamNoise } from './noise/skellam.ts';
export {
  arithmetic,
  decideDebit,
  epsilonFigure,
  left,
  protectedUnit,
  spent,
  studyShares,
  wouldSpend,
  type BudgetLimits,
  type Forecast,
  type PrivacyLimit,
  type StudyShare,
} from './ledger/budget.ts';
export {
  checkChain,
  gaussianPrice,
  genesisHash,
  LEDGER_ACCOUNTANT,
  nextEntry,
  type Adjacency,
  type LedgerEntry,
  type PrivacyUnit,
  type Release,
  type ReleaseMechanism,
} from './ledger/entry.ts';
