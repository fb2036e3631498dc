import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkSchema, utf8 } from '@medley/kit';
import { readStudy, type Study } from '@medley/study';
import { CONNECTORS_SCHEMA, siteData } from '../../silo-agent/src/connectors/site.ts';
import type { ConnectorConfig, SiteData } from '../../silo-agent/src/connectors/site.ts';

/** A study of three features and an event within ten days, over few rows. */
export const SMALL_STUDY = `
apiVersion: medley/v1
kind: Study
name: small
title: Small study
purpose: { text: A test, legalBasis: None needed }
expires: 2099-01-01T00:00:00Z
cohort: { minPatients: 2 }
features:
  - { name: age, type: number, unit: a, range: [18, 100] }
  - { name: stage, type: category, categories: [I, II, III] }
  - { name: marker, type: number, unit: mg/L, range: [0, 1000], transform: log1p }
outcome: { kind: event-within, event: died, time: days, horizonDays: 10 }
split: { train: 0.5, seed: s }
model: { file: model.onnx, input: features, output: logit }
training:
  loss: bce_with_logits
  optimizer: { kind: sgd }
  learningRate: 0.1
  batchSize: 4
  localEpochs: 2
strategy: { kind: fedavg }
rounds: { count: 2 }
clipping: { normL2: 1, coordinate: 0.5 }
`;

export function smallStudy(change: (yaml: string) => string = (yaml) => yaml): Study {
  return readStudy(utf8(change(SMALL_STUDY)), 'study.yaml');
}

/** The mapping that takes the small study's columns as they are. */
export const PLAIN_COLUMNS = {
  age: { from: 'age' },
  stage: { from: 'stage' },
  marker: { from: 'marker' },
  died: { from: 'died' },
  days: { from: 'days' },
};

export const HEADER = 'age,stage,marker,died,days\n';

export interface TestSite {
  readonly site: SiteData;
  remove(): Promise<void>;
}

/** Writes the files into a fresh folder and puts `connectors` over them, defaults filled in. */
export async function makeSite(
  files: Readonly<Record<string, string | Uint8Array>>,
  connectors: readonly object[] = Object.keys(files).map((file) => ({
    id: file.replace(/\..*$/, ''),
    kind: 'csv',
    file,
    columns: PLAIN_COLUMNS,
  })),
): Promise<TestSite> {
  const folder = await mkdtemp(join(tmpdir(), 'medley-site-'));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  const written = structuredClone(connectors) as ConnectorConfig[];
  checkSchema(written, CONNECTORS_SCHEMA, 'CONFIG_INVALID');
  return {
    site: siteData(folder, written),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
