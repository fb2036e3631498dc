import pico from 'picocolors';
import { EXIT, type ExitCode } from './catalogue/section.ts';
import { MedleyError } from './error.ts';

/** Where a command writes: results on standard output, words for people on standard error. */
export interface Terminal {
  /** True when results are wanted as JSON. */
  readonly json: boolean;
  /** True when a person watches: progress may be redrawn in place. */
  readonly interactive: boolean;
  readonly paint: Palette;
  /** A line for the person; never part of the result. */
  say(line: string): void;
  /** Redraws the present line (progress); does nothing unless interactive. */
  redraw(line: string): void;
  /** The command's result: `value` as one JSON document, or `text` for people. */
  result(value: unknown, text: string): void;
  /** One line of a stream of JSON documents (NDJSON) on standard output. */
  line(value: unknown): void;
  /** Prints an error with its remedy and gives the exit code that belongs to it. */
  fail(error: unknown): ExitCode;
}

export type Palette = Pick<
  ReturnType<typeof pico.createColors>,
  'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan'
>;

export interface TerminalStreams {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly json: boolean;
}

/** A terminal over the process's streams. Honours NO_COLOR and FORCE_COLOR. */
export function createTerminal({ stdout, stderr, env, json }: TerminalStreams): Terminal {
  const interactive = stderr.isTTY === true && env['CI'] === undefined;
  const colour = env['NO_COLOR'] === undefined && (env['FORCE_COLOR'] !== undefined || interactive);
  const paint = pico.createColors(colour);
  const clear = '\r\u001b[2K';
  let drawn = false;
  const end = (): string => {
    const before = drawn ? clear : '';
    drawn = false;
    return before;
  };
  return {
    json,
    interactive,
    paint,
    say: (line) => void stderr.write(`${end()}${line}\n`),
    redraw: (line) => {
      if (!interactive) return;
      drawn = true;
      stderr.write(`${clear}${line}`);
    },
    result: (value, text) => {
      const before = end();
      if (before) stderr.write(before);
      stdout.write(json ? `${JSON.stringify(value, undefined, 2)}\n` : `${text}\n`);
    },
    line: (value) => void stdout.write(`${JSON.stringify(value)}\n`),
    fail: (caught) => {
      const before = end();
      if (before) stderr.write(before);
      const error = MedleyError.from(caught);
      if (error.code === 'INTERRUPTED') {
        stderr.write(`${paint.yellow('interrupted')}: ${error.entry.remedy}\n`);
        return EXIT.interrupted;
      }
      if (json) stdout.write(`${JSON.stringify({ error: errorDocument(error) }, undefined, 2)}\n`);
      stderr.write(
        `${paint.red('✖')} ${paint.bold(error.code)}  ${error.entry.sentence}\n` +
          `   ${printable(error.message)}\n` +
          `   ${paint.cyan('Fix:')} ${error.entry.remedy}\n`,
      );
      return error.entry.exit;
    },
  };
}

/**
 * Text from another machine, safe to print: control characters other than tab and newline, and marks
 * that reverse the direction of writing, become U+FFFD, so that no peer steers this terminal.
 */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069]/gu, '\ufffd');
}

/** An error as `--json` shows it. */
export function errorDocument(error: MedleyError): {
  readonly code: string;
  readonly sentence: string;
  readonly detail: string;
  readonly remedy: string;
} {
  const { sentence, remedy } = error.entry;
  return { code: error.code, sentence, detail: error.message, remedy };
}

/** Columns aligned by their widest cell, two spaces apart; the first row is the head. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  }
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
