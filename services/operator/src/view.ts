import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MedleyError, writeDurably } from '@medley/kit';
import {
  cefEvent,
  csvDictionary,
  csvRows,
  fhirNdjson,
  syslogMessage,
  type ViewLine,
} from '@medley/trail';

/** Forms of the log that other programs and people read. */
export const VIEW_FORMATS = ['fhir', 'csv', 'syslog', 'cef'] as const;

export type ViewFormat = (typeof VIEW_FORMATS)[number];

/** Where the data dictionary of a CSV file lies. */
export function dictionaryFile(file: string): string {
  return `${file.replace(/\.csv$/i, '')}.dictionary.csv`;
}

/**
 * Writes one view of the lines to `file`, and beside a table its dictionary. Nothing but the line at hand
 * is kept in memory. `version` is the software's. Returns the files written. Throws FILE_UNWRITABLE; a file that could not be finished
 * is not left.
 */
export async function writeView(
  format: ViewFormat,
  lines: Iterable<ViewLine>,
  { file, version }: { readonly file: string; readonly version: string },
): Promise<readonly string[]> {
  switch (format) {
    case 'fhir':
      await writeText(file, fhirNdjson(lines));
      return [file];
    case 'syslog':
      await writeText(file, textLines(lines, syslogMessage));
      return [file];
    case 'cef':
      await writeText(
        file,
        textLines(lines, (line) => cefEvent(line, version)),
      );
      return [file];
    case 'csv': {
      await writeText(file, csvRows(lines));
      await writeDurably(dictionaryFile(file), csvDictionary(), { mode: 0o644 });
      return [file, dictionaryFile(file)];
    }
  }
}

function* textLines(
  lines: Iterable<ViewLine>,
  write: (line: ViewLine) => string,
): Generator<string> {
  for (const line of lines) yield `${write(line)}\n`;
}

async function writeText(file: string, parts: Iterable<string>): Promise<void> {
  const temporary = `${file}.part`;
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await pipeline(
      Readable.from(parts),
      createWriteStream(temporary, { mode: 0o644, flush: true }),
    );
    await rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    if (cause instanceof MedleyError) throw cause;
    throw new MedleyError('FILE_UNWRITABLE', `${file} cannot be written`, { cause });
  }
}
