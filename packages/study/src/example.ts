/** A complete study file to start from: what `readStudy` reads and editors complete. */
export const EXAMPLE_STUDY = `apiVersion: medley/v1
kind: Study
name: recurrence-5y
title: Relapse or death within five years of surgery
purpose:
  text: Compare prognostic factors across hospitals.
  legalBasis: Broad consent, ethics vote 2026-17
expires: 2027-12-31T00:00:00Z
cohort: { minPatients: 20 }
features:
  - { name: age, type: number, unit: a, range: [18, 100] }
  - { name: menopause, type: category, categories: [pre, post] }
  - { name: grade, type: category, categories: ['1', '2', '3'] }
  - { name: nodes, type: number, range: [0, 60], transform: log1p }
outcome: { kind: event-within, event: rfsEvent, time: rfsDays, horizonDays: 1826 }
split: { train: 0.66, seed: medley-demo }
model: { file: model.onnx, input: features, output: logit }
training:
  loss: bce_with_logits
  optimizer: { kind: sgd, momentum: 0.9 }
  learningRate: 0.05
  batchSize: 32
  localEpochs: 2
  standardise: true
strategy: { kind: fedavg }
rounds: { count: 30, maxAttempts: 3, stepSeconds: 30, trainingSeconds: 120 }
clipping: { normL2: 2.0, coordinate: 0.5 }
secureAggregation: { bits: 22, weightCap: 5000 }
evaluation: { scoreBins: 50 }
`;
