import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { CsvError, parse, type Info } from 'csv-parse';
import { isMedleyError, MedleyError } from '@medley/kit';

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
  // Last line of the last whole record; the parser's own count has gone on to the end of the file.
  let lastLine = 0;
  const parser = parse({
    delimiter: dialect.delimiter,
    quote: dialect.quote,
    escape: dialect.quote,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: MAX_RECORD_LENGTH,
    on_record: (record: string[], { lines }) => {
      lastLine = lines;
      return record;
    },
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
    throw formatError(caught, source, lastLine + 1);
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

const REPLACEMENT = '\ufffd';

/**
 * The file's text. A replacement character is refused as well where the file itself holds one: some
 * program before has put it in the place of what it could not read.
 */
async function* decoded(path: string, encoding: TextDialect['encoding']): AsyncGenerator<string> {
  const decoder = new TextDecoder(encoding);
  let line = 1;
  const checked = (text: string): string => {
    const fault = text.indexOf(REPLACEMENT);
    line += (fault < 0 ? text : text.slice(0, fault)).split('\n').length - 1;
    if (fault < 0) return text;
    const rule = `line ${line}: is not in the encoding of its connector, ${encoding}`;
    throw new MedleyError('DATA_FORMAT_INVALID', `${basename(path)}: ${rule}`);
  };
  for await (const chunk of createReadStream(path)) {
    yield checked(decoder.decode(chunk as Buffer, { stream: true }));
  }
  yield checked(decoder.decode());
}

const QUOTING: Readonly<Partial<Record<string, string>>> = {
  CSV_QUOTE_NOT_CLOSED: 'a quote is opened and never closed',
  CSV_INVALID_CLOSING_QUOTE: 'a closing quote is followed by text',
  INVALID_OPENING_QUOTE: 'a quote stands inside an unquoted cell',
  CSV_MAX_RECORD_SIZE: 'a row is longer than 1 MiB: is a quote never closed?',
};

function formatError(caught: unknown, source: string, line: number): MedleyError {
  // csv-parse quotes the cell in its message: neither it nor the error itself goes further.
  if (caught instanceof CsvError) {
    const rule = QUOTING[caught.code] ?? `does not parse (${caught.code})`;
    return new MedleyError('DATA_FORMAT_INVALID', `${source}: line ${line}: ${rule}`);
  }
  if (isMedleyError(caught)) return caught;
  return unreadable(source, caught);
}
