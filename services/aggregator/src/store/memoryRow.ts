/** Copies of the rows, in the order of `key` as text. */
export function sorted<T>(rows: ReadonlyMap<string, T>, key: (row: T) => string): T[] {
  return [...rows.values()].sort((a, b) => (key(a) < key(b) ? -1 : 1)).map((row) => clone(row));
}

/** A deep copy, so that neither side sees the other's later changes. */
export function clone<T>(row: T): T {
  return structuredClone(row);
}

/** A time as text that sorts like the number. */
export function sortable(ms: number): string {
  return String(ms).padStart(16, '0');
}
