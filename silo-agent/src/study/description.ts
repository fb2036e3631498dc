import { table, type Json } from '@medley/kit';
import { wireLength } from '@medley/secagg';
import { layoutFor, type Feature, type RoundKind } from '@medley/study';
import type { StudyDocuments } from './offer.ts';
import { privacyDocument, privacyLines } from './privacyView.ts';

const KINDS: readonly RoundKind[] = ['statistics', 'training', 'evaluation'];

/** What a steward reads before deciding, as a document for machines. */
export function studyDocument(documents: StudyDocuments): { readonly [key: string]: Json } {
  const { study, charter, report } = documents;
  return {
    study: study.name,
    title: study.title,
    charterHash: documents.charterHash,
    purpose: { ...study.purpose },
    created: charter.created,
    expires: charter.expires,
    roster: charter.roster.map(({ index, silo }) => ({
      index,
      silo,
      isThisSite: index === documents.me,
    })),
    reads: {
      features: study.features.map((feature) => ({
        name: feature.name,
        allowed: allowedText(feature),
      })),
      outcome: { ...study.outcome },
      minPatients: charter.cohort.minPatients,
    },
    model: {
      hash: charter.files.model,
      parameters: report.parameterCount,
      opset: report.opset,
      operators: { ...report.operators },
    },
    training: {
      ...study.training,
      optimizer: { ...study.training.optimizer },
      rounds: charter.rounds.count,
    },
    leaves: Object.fromEntries(KINDS.map((kind) => [kind, bytesOf(documents, kind)])),
    protection: {
      ...charter.secureAggregation,
      clipNormL2: charter.clipping.normL2,
      clipCoordinate: charter.clipping.coordinate,
    },
    privacy: privacyDocument(charter),
  };
}

/** The same for people: what is read, what is computed, what leaves, who sees it. */
export function studyText(documents: StudyDocuments): string {
  const { study, charter, report, charterHash } = documents;
  const { threshold, minSurvivors, maxAttempts } = charter.secureAggregation;
  const silos = charter.roster.map(({ silo, index }) =>
    index === documents.me ? `${silo} (you)` : silo,
  );
  const n = charter.roster.length;
  const operators = Object.keys(report.operators).join(', ');
  const facts: readonly (readonly [string, string])[] = [
    ['study', `${study.name}: ${study.title}`],
    ['purpose', study.purpose.text],
    ['legal basis', study.purpose.legalBasis],
    ['runs until', charter.expires],
    ['hospitals', `${String(n)}: ${silos.join(', ')}`],
    ['patients', `at least ${String(charter.cohort.minPatients)} to train on at every hospital`],
    ['outcome', outcomeText(documents)],
    ['model', `${String(report.parameterCount)} parameters, operators ${operators}`],
    ['training', trainingText(documents)],
    ['leaves', leavesText(documents)],
    [
      'protection',
      `only sums of at least ${String(minSurvivors)} hospitals are opened; ${String(threshold)} of ${String(n)} must agree`,
    ],
    [
      '',
      `each update is clipped to norm ${String(charter.clipping.normL2)}, each number to ${String(charter.clipping.coordinate)}; ${String(maxAttempts)} attempts a round`,
    ],
    ...privacyLines(charter).map((line, i) => [i === 0 ? 'privacy' : '', line] as const),
    ['charter', charterHash],
  ];
  const columns = study.features.map((feature) => [`  ${feature.name}`, allowedText(feature)]);
  return [table(facts.map((fact) => [...fact])), 'columns read', table(columns)].join('\n');
}

function bytesOf({ study, charter }: StudyDocuments, kind: RoundKind): number {
  return wireLength(layoutFor(study, charter, kind));
}

function leavesText(documents: StudyDocuments): string {
  const sizes = KINDS.map((kind) => `${kind} ${String(bytesOf(documents, kind))}`).join(', ');
  return `one masked vector a round, in bytes: ${sizes}; never a row, never an update in clear`;
}

function trainingText({ study, charter }: StudyDocuments): string {
  const { localEpochs, localSteps, batchSize, learningRate, optimizer } = study.training;
  const work =
    localEpochs === undefined ? `${String(localSteps)} steps` : `${String(localEpochs)} epochs`;
  return `${String(charter.rounds.count)} rounds of ${work}, ${optimizer.kind}, rate ${String(learningRate)}, batches of ${String(batchSize)}`;
}

function outcomeText({ study: { outcome } }: StudyDocuments): string {
  return outcome.kind === 'binary'
    ? `column ${outcome.column}, 0 or 1`
    : `${outcome.event} within ${String(outcome.horizonDays)} days by ${outcome.time}`;
}

function allowedText(feature: Feature): string {
  if (feature.type === 'category') return feature.categories.join(', ');
  const unit = feature.unit === undefined ? '' : ` ${feature.unit}`;
  return `${String(feature.range[0])} to ${String(feature.range[1])}${unit}`;
}
