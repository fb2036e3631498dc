import { CATALOGUE } from '@medley/kit';
import type { Study } from '@medley/study';
import { targetsOf, type ColumnTarget } from './compile.ts';
import { checkSufficiency, readDataset, type Dataset } from './dataset.ts';
import { faultText, type DataCode } from './fault.ts';
import type { SiteData } from './site.ts';
import { Tally } from './tally.ts';

/** One study column in a {@link DataReport}; counts are cells. */
export interface ColumnReport {
  readonly name: string;
  readonly role: 'feature' | 'outcome' | 'patient';
  /** What the study allows, in words. */
  readonly allowed: string;
  readonly missing: number;
  readonly outOfRange: number;
}

/** What `medley-agent data check` says. For this site only; it holds no patient's value. */
export interface DataReport {
  readonly study: string;
  /** True when this site could train with this data. */
  readonly isUsable: boolean;
  /** Data rows read. */
  readonly rows: number;
  readonly usable: number;
  readonly leftOut: {
    /** Follow-up ended before the horizon without the event. */
    readonly censored: number;
    readonly missing: number;
  };
  readonly train: number;
  readonly test: number;
  readonly minTrain: number;
  /** Share of usable rows with the outcome, as a band of ten percent. */
  readonly outcomeShare: string;
  readonly sources: readonly { readonly id: string; readonly usable: number }[];
  readonly columns: readonly ColumnReport[];
  readonly fingerprint: string;
  readonly faultCount: number;
  /** The first 20 faults. */
  readonly faults: readonly { readonly code: DataCode; readonly message: string }[];
}

/** Reads all data of the site and reports; throws nothing for faults of the data. */
export async function checkData(site: SiteData, study: Study): Promise<DataReport> {
  const tally = new Tally();
  const dataset = await readDataset(site, study, tally);
  checkSufficiency(dataset, study, tally);
  return {
    study: study.name,
    isUsable: tally.faults.count === 0,
    rows: tally.rows,
    usable: dataset.rows,
    leftOut: { censored: dataset.censored, missing: dataset.missing },
    train: dataset.train.length,
    test: dataset.test.length,
    minTrain: study.cohort.minPatients,
    outcomeShare: shareBand(dataset),
    sources: dataset.parts.map(({ id, train, test }) => ({
      id,
      usable: train.length + test.length,
    })),
    columns: targetsOf(study).map((target) => ({
      name: target.name,
      role: target.feature ? 'feature' : target.isPatient ? 'patient' : 'outcome',
      allowed: allowedText(target),
      missing: tally.missing(target.name),
      outOfRange: tally.outOfRange(target.name),
    })),
    fingerprint: dataset.fingerprint,
    faultCount: tally.faults.count,
    faults: tally.faults.listed.map((fault) => ({ code: fault.code, message: faultText(fault) })),
  };
}

/** The report for a terminal, one fact a line, faults last. */
export function reportText(report: DataReport): string {
  const width = Math.max(...report.columns.map(({ name }) => name.length));
  const lines = [
    `study      ${report.study}`,
    `rows       ${report.rows} read, ${report.usable} usable`,
    `left out   ${report.leftOut.censored} with too short follow-up, ${report.leftOut.missing} with a missing value`,
    `split      ${report.train} to train (at least ${report.minTrain}), ${report.test} to test`,
    `outcome    ${report.outcomeShare} of the usable rows`,
    ...report.sources.map(({ id, usable }) => `source     ${id}: ${usable} usable`),
    `data hash  ${report.fingerprint.slice(0, 16)}`,
    'columns',
    ...report.columns.map((column) => `  ${column.name.padEnd(width)}  ${columnText(column)}`),
    report.isUsable ? 'OK: this site can take part' : `FAULTS: ${report.faultCount}`,
    ...faultLines(report),
  ];
  return lines.join('\n');
}

/** The faults, then what to do about each kind of them. */
function faultLines({ faults, faultCount }: DataReport): readonly string[] {
  const more = faultCount - faults.length;
  const codes = [...new Set(faults.map(({ code }) => code))];
  return [
    ...faults.map(({ code, message }) => `  ${code}  ${message}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
    ...codes.map((code) => `Fix ${code}: ${CATALOGUE[code].remedy}`),
  ];
}

function columnText({ allowed, missing, outOfRange }: ColumnReport): string {
  const outside = outOfRange > 0 ? `, ${outOfRange} outside` : '';
  return `${allowed}; ${missing} missing${outside}`;
}

function allowedText({ feature, isTime, isPatient }: ColumnTarget): string {
  if (isPatient) return 'any text that tells patients apart';
  if (!feature) return isTime ? 'days, not negative' : '0 or 1';
  if (feature.type === 'category') return feature.categories.join(', ');
  const unit = feature.unit === undefined ? '' : ` ${feature.unit}`;
  return `${feature.range[0]} to ${feature.range[1]}${unit}`;
}

function shareBand({ rows, labels }: Dataset): string {
  if (rows === 0) return 'none';
  const share = labels.reduce((sum, label) => sum + label, 0) / rows;
  const low = Math.min(9, Math.floor(share * 10)) * 10;
  return `${low} to ${low + 10} %`;
}
