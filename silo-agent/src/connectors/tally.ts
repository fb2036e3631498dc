import { FaultList, type DataFault } from './fault.ts';

/** What reading one or more sources found: faults, and counts per study column. */
export class Tally {
  readonly faults: FaultList;
  /** Data rows read, whether usable or not. */
  rows = 0;
  /** Rows with a missing value; used in no case, at fault unless `missing.rows: leaveOut`. */
  missingRows = 0;
  readonly #missing = new Map<string, number>();
  readonly #outOfRange = new Map<string, number>();

  constructor(faults: FaultList = new FaultList()) {
    this.faults = faults;
  }

  fault(fault: DataFault): void {
    this.faults.add(fault);
    if (fault.code === 'DATA_OUT_OF_RANGE' && fault.target !== undefined) {
      this.#outOfRange.set(fault.target, this.outOfRange(fault.target) + 1);
    }
  }

  addMissing(column: string): void {
    this.#missing.set(column, this.missing(column) + 1);
  }

  /** Cells of a study column that hold no value. */
  missing(column: string): number {
    return this.#missing.get(column) ?? 0;
  }

  /** Cells of a study column outside the study's range. */
  outOfRange(column: string): number {
    return this.#outOfRange.get(column) ?? 0;
  }
}
