/** A line of a plot: one number for each epoch, with the mark that stands for it. */
export interface Curve {
  readonly mark: string;
  readonly label: string;
  readonly values: readonly number[];
}

/**
 * Curves over epochs in characters: `height` rows, at most `width` columns, the scale of the numbers at
 * the left. Where curves meet, the later one is seen. Empty where there is nothing to show.
 */
export function plot(curves: readonly Curve[], width = 64, height = 12): string {
  const all = curves.flatMap(({ values }) => values).filter(Number.isFinite);
  const length = Math.max(0, ...curves.map(({ values }) => values.length));
  if (all.length === 0 || length < 2) return '';
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const span = high - low || 1;
  const columns = Math.min(width, length);
  const grid = Array.from({ length: height }, () => Array<string>(columns).fill(' '));
  for (const { mark, values } of curves) {
    for (let column = 0; column < columns; column++) {
      const value = values[Math.round((column * (length - 1)) / (columns - 1))];
      if (value === undefined || !Number.isFinite(value)) continue;
      grid[Math.round(((high - value) / span) * (height - 1))]![column] = mark;
    }
  }
  const scale = (row: number): string => {
    const isShown = row === 0 || row === height - 1 || row === Math.floor(height / 2);
    return (isShown ? (high - (span * row) / (height - 1)).toPrecision(4) : '').padStart(10);
  };
  const body = grid.map((row, i) => `${scale(i)} │${row.join('')}`);
  const axis = `${' '.repeat(11)}└${'─'.repeat(columns)}`;
  const ends = `${' '.repeat(12)}1${String(length).padStart(columns - 1)}  epoch`;
  const legend = curves.map(({ mark, label }) => `${mark} ${label}`).join('   ');
  return [...body, axis, ends, `${' '.repeat(12)}${legend}`].join('\n');
}

/** `[#####.....] 5/10`. */
export function bar(done: number, total: number, width = 24): string {
  const filled = Math.round((width * Math.min(done, total)) / Math.max(total, 1));
  return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ${done}/${total}`;
}
