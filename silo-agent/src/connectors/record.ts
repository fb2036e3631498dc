import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { CsvError, parse, type Info } from 'csv-parse';
import { MedleyError } from '@medley/kit';

/** How a delimited text file is written. */
export interface TextDialect {
  readonly delimiter: string;
  readonly quote: string;
  readonly encoding: 'utf-8' | 'windows-1252' | 'utf-16le';
}

/** One record of the file, header included. */
export interface TextRecord {
  /** 1-based line on which the record ends. */
  readonly line: number;
  readonly cells: readonly string[];
}

/** Longest record in characters: an unclosed quote must not swallow the rest of a large file. */
const MAX_RECORD_LENGTH = 1 << 20;

/**
 * Streams the records of a delimited text file; empty lines are passed over, a byte order mark is
 * dropped. Throws DATA_FILE_UNREADABLE, and DATA_FORMAT_INVALID for text that is not in the
 * encoding or breaks the quoting. No message or cause holds text of the file.
 */
export async function* readRecords(path: string, dialect: TextDialect): AsyncGenerator<TextRecord> {
  const source = basename(path);
  const text = Readable.from(decoded(path, dialect.encoding));
  const parser = parse({
    delimiter: dialect.delimiter,
    quote: dialect.quote,
    escape: dialect.quote,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: MAX_RECORD_LENGTH,
  });
  // pipe() does not carry an error of its source across.
  text.on('error', (error) => parser.destroy(error));
  try {
    for await (const item of text.pipe(parser)) {
      // With `info` and without `columns` csv-parse gives {record, info}.
      const { record, info } = item as { readonly record: string[]; readonly info: Info };
      yield { line: info.lines, cells: record };
    }
  } catch (caught) {
    throw formatError(caught, source, parser.info.lines);
  } finally {
    parser.destroy();
    text.destroy();
  }
}

/** The coded error for a file that cannot be opened or read. */
export function unreadable(source: string, cause: unknown): MedleyError {
  const reason = codeOf(cause) ?? 'unknown reason';
  return new MedleyError('DATA_FILE_UNREADABLE', `${source}: cannot be read (${reason})`, {
    cause,
  });
}

/** Node's error code. Not by instanceof, which fails for errors of another realm. */
function codeOf(caught: unknown): string | undefined {
  const isCoded = typeof caught === 'object' && caught !== null && 'code' in caught;
  return isCoded ? String(caught.code) : undefined;
}

async function* decoded(path: string, encoding: TextDialect['encoding']): AsyncGenerator<string> {
  const decoder = new TextDecoder(encoding, { fatal: true });
  for await (const chunk of createReadStream(path)) {
    yield decoder.decode(chunk as Buffer, { stream: true });
  }
  yield decoder.decode();
}

const QUOTING: Readonly<Partial<Record<string, string>>> = {
  CSV_QUOTE_NOT_CLOSED: 'a quote is opened and never closed',
  CSV_INVALID_CLOSING_QUOTE: 'a closing quote is followed by text',
  INVALID_OPENING_QUOTE: 'a quote stands inside an unquoted cell',
  CSV_MAX_RECORD_SIZE: 'a row is longer than 1 MiB: is a quote never closed?',
};

/** Node's code for bytes that are not in the decoder's encoding (Node.js errors documentation). */
const BAD_ENCODING = 'ERR_ENCODING_INVALID_ENCODED_DATA';

function formatError(caught: unknown, source: string, line: number): MedleyError {
  // csv-parse quotes the cell in its message: neither it nor the error itself goes further.
  if (caught instanceof CsvError) {
    const rule = QUOTING[caught.code] ?? `does not parse (${caught.code})`;
    return new MedleyError('DATA_FORMAT_INVALID', `${source}: near line ${line}: ${rule}`);
  }
  if (codeOf(caught) === BAD_ENCODING) {
    const rule = `near line ${line}: is not in the encoding of its connector`;
    return new MedleyError('DATA_FORMAT_INVALID', `${source}: ${rule}`);
  }
  return unreadable(source, caught);
}
