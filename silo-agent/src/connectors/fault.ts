import { MedleyError } from '@medley/kit';

/** The rules that data at the site can break; each is a code of the catalogue. */
export type DataCode =
  | 'DATA_MAPPING_INVALID'
  | 'DATA_FILE_UNREADABLE'
  | 'DATA_FORMAT_INVALID'
  | 'DATA_COLUMN_MISSING'
  | 'DATA_COLUMN_UNMAPPED'
  | 'DATA_DUPLICATE_COLUMN'
  | 'DATA_ROW_RAGGED'
  | 'DATA_VALUE_INVALID'
  | 'DATA_NOT_FINITE'
  | 'DATA_OUT_OF_RANGE'
  | 'DATA_CATEGORY_UNKNOWN'
  | 'DATA_MISSING_VALUE'
  | 'DATA_CLASS_EMPTY'
  | 'DATA_TOO_FEW_ROWS';

/** One broken rule and its place. There is no field for the value, so it cannot be shown. */
export interface DataFault {
  readonly code: DataCode;
  /** File name without its folder, or the connector's id. */
  readonly source: string;
  /** 1-based line; absent for faults of a whole source. */
  readonly line?: number;
  /** Column of the source. */
  readonly column?: string;
  /** Column of the study that is made from it. */
  readonly target?: string;
  /** The rule that was broken, never the value that broke it. */
  readonly rule: string;
}

/** `file:line: column "x": rule`, with the parts that are known. */
export function faultText(fault: DataFault): string {
  const place = fault.line === undefined ? fault.source : `${fault.source}:${fault.line}`;
  const named = fault.column ?? fault.target;
  const column = named === undefined ? '' : `column "${named}": `;
  return `${place}: ${column}${fault.rule}`;
}

/** Collects faults: the first `limit` in full, of the rest only the number. */
export class FaultList {
  readonly #limit: number;
  readonly #listed: DataFault[] = [];
  #count = 0;

  constructor(limit = 20) {
    this.#limit = limit;
  }

  add(fault: DataFault): void {
    this.#count += 1;
    if (this.#listed.length < this.#limit) this.#listed.push(fault);
  }

  /** All faults found, listed or not. */
  get count(): number {
    return this.#count;
  }

  /** The first faults in the order of their discovery. */
  get listed(): readonly DataFault[] {
    return this.#listed;
  }

  /** One line per listed fault, then how many more there are. */
  lines(): readonly string[] {
    const more = this.#count - this.#listed.length;
    const lines = this.#listed.map(faultText);
    return more > 0 ? [...lines, `and ${more} more`] : lines;
  }

  /** Throws the first fault's code with all lines as the message, if there is any fault. */
  throwIfAny(): void {
    const first = this.#listed[0];
    if (first) throw new MedleyError(first.code, this.lines().join('\n'));
  }
}
