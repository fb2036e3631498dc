import { canonicalBytes, sha256, toHex } from '@medley/kit';
import {
  encodedColumns,
  encodeRow,
  featureCount,
  isTrained,
  outcomeOf,
  patientColumn,
  splitRows,
  type Split,
} from '@medley/study';
import type { Study } from '@medley/study';
import type { Connector } from './connector.ts';
import { openConnectors, type SiteData } from './site.ts';
import { Tally } from './tally.ts';

/** The rows of one connector within a dataset; indices count rows of the whole dataset. */
export interface DatasetPart {
  readonly id: string;
  readonly train: Int32Array;
  readonly test: Int32Array;
}

/** All usable rows of a site, encoded for one study. Read-only by agreement: nobody writes to it. */
export interface Dataset {
  readonly rows: number;
  /** Width of the model's input. */
  readonly columns: number;
  /** `[rows, columns]`, row-major; transformed and one-hot, not standardised. */
  readonly values: Float64Array;
  /** `[rows]`, 0 or 1. */
  readonly labels: Uint8Array;
  /** `[rows]`: equal numbers are one patient; each row is one where the study names no column. */
  readonly patients: Int32Array;
  /** Row indices, over all parts in order. */
  readonly train: Int32Array;
  readonly test: Int32Array;
  readonly parts: readonly DatasetPart[];
  /** Rows whose outcome is unknown at the horizon: left out. */
  readonly censored: number;
  /** Rows left out for a missing value. */
  readonly missing: number;
  /** SHA-256 (hex) of the encoded rows, labels and split: what a model was trained on. */
  readonly fingerprint: string;
}

/** Encoded rows of one source, before the split. */
interface Source {
  readonly id: string;
  readonly values: Float64Array;
  readonly labels: Uint8Array;
  /** What tells the patient of each row from others: the study's column, or the line of the source. */
  readonly identities: readonly string[];
  readonly censored: number;
}

/**
 * Reads every connector of the site for one study. Each source is split by itself under its own id,
 * so that pooling the same files keeps the same test patients. Throws the first DATA_* fault with
 * up to 20 faults as its message, DATA_TOO_FEW_ROWS under the study's cohort.minPatients and
 * DATA_CLASS_EMPTY when an outcome is absent from the training or the test rows.
 */
export async function openDataset(site: SiteData, study: Study): Promise<Dataset> {
  const tally = new Tally();
  const dataset = await readDataset(site, study, tally);
  checkSufficiency(dataset, study, tally);
  tally.faults.throwIfAny();
  return dataset;
}

/** Like {@link openDataset}, but faults only go into `tally`; the dataset holds the sound rows. */
export async function readDataset(site: SiteData, study: Study, tally: Tally): Promise<Dataset> {
  const sources: Source[] = [];
  for (const connector of openConnectors(site)) {
    try {
      sources.push(await readSource(connector, study, tally));
    } finally {
      await connector.close();
    }
  }
  return assemble(sources, study, tally.missingRows);
}

/**
 * Adds DATA_TOO_FEW_ROWS and DATA_CLASS_EMPTY faults of the whole site, unless a source could not be
 * read to its end: what is missing may be in there.
 */
export function checkSufficiency(dataset: Dataset, study: Study, tally: Tally): void {
  // The header is line 1; faults of a whole source have no line.
  if (tally.faults.listed.some(({ line = 1 }) => line === 1)) return;
  const { minPatients } = study.cohort;
  const trained = new Set(Array.from(dataset.train, (row) => dataset.patients[row]));
  if (trained.size < minPatients) {
    const who = patientColumn(study) === undefined ? 'rows' : 'patients';
    const rule = `${trained.size} usable training ${who}, the study demands ${minPatients}`;
    tally.fault({ code: 'DATA_TOO_FEW_ROWS', source: 'site', rule });
  }
  for (const part of ['train', 'test'] as const) {
    const positives = dataset[part].reduce((sum, row) => sum + dataset.labels[row]!, 0);
    const empty = positives === 0 ? 'with' : positives === dataset[part].length ? 'without' : null;
    if (empty === null) continue;
    const rule = `the ${part} rows hold no patient ${empty} the outcome`;
    tally.fault({ code: 'DATA_CLASS_EMPTY', source: 'site', rule });
  }
}

async function readSource(connector: Connector, study: Study, tally: Tally): Promise<Source> {
  const rows: Float64Array[] = [];
  const labels: number[] = [];
  const identities: string[] = [];
  const patient = patientColumn(study);
  let censored = 0;
  for await (const { line, row } of connector.open(study, tally)) {
    const where = `${connector.id}:${line}`;
    const label = outcomeOf(study, row, where);
    if (label === undefined) censored += 1;
    else {
      rows.push(encodeRow(study, row, where));
      labels.push(label);
      identities.push(patient === undefined ? String(line) : String(row[patient]));
    }
  }
  const columns = featureCount(study);
  const values = new Float64Array(rows.length * columns);
  rows.forEach((row, i) => values.set(row, i * columns));
  return { id: connector.id, values, labels: Uint8Array.from(labels), identities, censored };
}

function assemble(sources: readonly Source[], study: Study, missing: number): Dataset {
  const columns = featureCount(study);
  const rows = sources.reduce((sum, { labels }) => sum + labels.length, 0);
  const values = new Float64Array(rows * columns);
  const labels = new Uint8Array(rows);
  const parts: DatasetPart[] = [];
  let start = 0;
  for (const source of sources) {
    const from = start;
    values.set(source.values, from * columns);
    labels.set(source.labels, from);
    const split = splitOf(source, study);
    const shifted = (indices: Int32Array): Int32Array => indices.map((row) => row + from);
    parts.push({ id: source.id, train: shifted(split.train), test: shifted(split.test) });
    start += source.labels.length;
  }
  const dataset = {
    rows,
    columns,
    values,
    labels,
    patients: patientsOf(sources, study),
    train: joined(parts.map((part) => part.train)),
    test: joined(parts.map((part) => part.test)),
    parts,
    censored: sources.reduce((sum, source) => sum + source.censored, 0),
    missing,
  };
  return { ...dataset, fingerprint: fingerprintOf(dataset, study) };
}

function splitOf({ id, identities }: Source, study: Study): Split {
  const { train: fraction, seed, method } = study.split;
  if (method !== 'hash') return splitRows(identities.length, fraction, seed, id);
  // A patient of two sources is one and falls on one side; lines of two sources are two patients.
  const salt = patientColumn(study) === undefined ? id : '';
  const train: number[] = [];
  const test: number[] = [];
  identities.forEach((patient, row) =>
    (isTrained(patient, fraction, seed, salt) ? train : test).push(row),
  );
  return { train: Int32Array.from(train), test: Int32Array.from(test) };
}

function patientsOf(sources: readonly Source[], study: Study): Int32Array {
  const identities = sources.flatMap((source) => source.identities);
  if (patientColumn(study) === undefined) return Int32Array.from(identities.keys());
  const known = new Map<string, number>();
  return Int32Array.from(identities, (patient) => {
    const number = known.get(patient) ?? known.size;
    known.set(patient, number);
    return number;
  });
}

/** The first row of each patient among the chosen rows, in their order. */
export function firstRows(dataset: Dataset, indices: Int32Array): Int32Array {
  const seen = new Set<number>();
  return indices.filter((row) => {
    const patient = dataset.patients[row]!;
    if (seen.has(patient)) return false;
    seen.add(patient);
    return true;
  });
}

/** The places of each patient's rows among the chosen rows, a list a patient. */
export function rowsByPatient(dataset: Dataset, indices: Int32Array): readonly number[][] {
  const groups = new Map<number, number[]>();
  indices.forEach((row, place) => {
    const patient = dataset.patients[row]!;
    const group = groups.get(patient);
    if (group) group.push(place);
    else groups.set(patient, [place]);
  });
  return [...groups.values()];
}

function joined(lists: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(lists.reduce((sum, list) => sum + list.length, 0));
  let at = 0;
  for (const list of lists) {
    all.set(list, at);
    at += list.length;
  }
  return all;
}

function fingerprintOf(dataset: Omit<Dataset, 'fingerprint'>, study: Study): string {
  const head = canonicalBytes({
    columns: encodedColumns(study).map(({ name }) => name),
    rows: dataset.rows,
    parts: dataset.parts.map(({ id, train }) => ({ id, train: [...train] })),
  });
  // Little-endian on every platform Node supports with ONNX Runtime (x64, arm64).
  const { values } = dataset;
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return toHex(sha256(head, bytes, dataset.labels));
}

/** Views of the chosen rows, `[columns]` each; they share the dataset's memory. */
export function rowsOf(dataset: Dataset, indices: Int32Array): readonly Float64Array[] {
  const { columns, values } = dataset;
  return Array.from(indices, (row) => values.subarray(row * columns, (row + 1) * columns));
}

/** Labels of the chosen rows, owned by the caller. */
export function labelsOf(dataset: Dataset, indices: Int32Array): Float32Array {
  // In range: indices come from the dataset's own split.
  return Float32Array.from(indices, (row) => dataset.labels[row]!);
}
