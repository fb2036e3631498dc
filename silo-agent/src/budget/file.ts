import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MedleyError, syncFolder, type JsonSchema } from '@medley/kit';
import { checkChain, type LedgerEntry } from '@medley/privacy';
import { errnoOf, readDocument, readIfThere, writeDocument } from '../file.ts';

/** How far the ledger is known to reach: written after an entry and before its release. */
interface HeadFile {
  readonly medley: 'budgetHead/v1';
  readonly entries: number;
  /** Hash of the last entry. */
  readonly hash: string;
}

const HEAD_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['medley', 'entries', 'hash'],
  properties: {
    medley: { const: 'budgetHead/v1' },
    entries: { type: 'integer', minimum: 1 },
    hash: { type: 'string', pattern: '^[0-9a-f]{64}$' },
  },
};

const NEWLINE = 10;

/** What is on disk. */
export interface LedgerOnDisk {
  readonly entries: readonly LedgerEntry[];
  /** Length of the whole lines; what is behind them was never acknowledged. */
  readonly sizeBytes: number;
  /** False when a crash came between the last entry and the head. */
  readonly hasHead: boolean;
}

/** The two files of one data set's ledger. */
export interface LedgerFiles {
  /** One entry a line, JSON, only ever appended to. */
  readonly entries: string;
  readonly head: string;
}

/**
 * Reads and checks a ledger. A last line without its end is a debit that never returned: it is left
 * out. Fewer entries than the head names, or more than one beyond it, is damage: an entry that was lost
 * would be spent twice. A debit of another process may run meanwhile: the head can only be too low when
 * read before the entries, and too high when read after them.
 *
 * Throws PRIVACY_LEDGER_DAMAGED, FILE_UNREADABLE.
 */
export async function readLedger(files: LedgerFiles, dataset: string): Promise<LedgerOnDisk> {
  const atLeast = await readHead(files.head);
  const bytes = (await readIfThere(files.entries)) ?? new Uint8Array();
  const atMost = await readHead(files.head);
  const sizeBytes = bytes.lastIndexOf(NEWLINE) + 1;
  const entries = checkChain(dataset, parseLines(files.entries, bytes.subarray(0, sizeBytes)));
  const isLost = atLeast !== undefined && entries[atLeast.entries - 1]?.hash !== atLeast.hash;
  const reach = atMost?.entries ?? 0;
  const ahead = entries.length - reach;
  const isTorn = sizeBytes < bytes.length;
  if (isLost || ahead > 1 || (ahead === 1 && isTorn)) {
    throw new MedleyError(
      'PRIVACY_LEDGER_DAMAGED',
      `${files.entries} has ${String(entries.length)} entries, ${files.head} says ${String(reach)}`,
    );
  }
  return { entries, sizeBytes, hasHead: ahead <= 0 };
}

/**
 * Puts an entry behind `ledger`; when it returns, the entry survives a power cut. Only then may its
 * release leave. Throws FILE_UNWRITABLE.
 */
export async function appendEntry(
  files: LedgerFiles,
  ledger: LedgerOnDisk,
  entry: LedgerEntry,
): Promise<void> {
  // First what a crash left undone: the head may never be two entries behind.
  await completeHead(files, ledger);
  try {
    const folder = dirname(files.entries);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const handle = await open(files.entries, 'a', 0o600);
    try {
      await handle.truncate(ledger.sizeBytes);
      await handle.writeFile(`${JSON.stringify(entry)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await syncFolder(folder);
    await syncFolder(dirname(folder));
  } catch (cause) {
    const reason = errnoOf(cause) ?? 'unknown reason';
    throw new MedleyError('FILE_UNWRITABLE', `${files.entries} cannot be written (${reason})`, {
      cause,
    });
  }
  await writeHead(files, entry);
}

/** Writes the head that a crash left out. Throws FILE_UNWRITABLE. */
export async function completeHead(files: LedgerFiles, ledger: LedgerOnDisk): Promise<void> {
  const last = ledger.entries.at(-1);
  if (last && !ledger.hasHead) await writeHead(files, last);
}

async function writeHead(files: LedgerFiles, { sequence, hash }: LedgerEntry): Promise<void> {
  const head: HeadFile = { medley: 'budgetHead/v1', entries: sequence + 1, hash };
  await writeDocument(files.head, head);
}

async function readHead(file: string): Promise<HeadFile | undefined> {
  try {
    return await readDocument<HeadFile>(file, HEAD_SCHEMA);
  } catch (cause) {
    const { code, message } = MedleyError.from(cause);
    if (code !== 'AGENT_STATE_INVALID') throw cause;
    throw new MedleyError('PRIVACY_LEDGER_DAMAGED', message, { cause });
  }
}

function parseLines(file: string, bytes: Uint8Array): readonly unknown[] {
  if (bytes.length === 0) return [];
  let line = 0;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return text
      .slice(0, -1)
      .split('\n')
      .map((one): unknown => {
        line++;
        return JSON.parse(one);
      });
  } catch (cause) {
    const where = `${file}:${String(line)}`;
    // The parser's own message quotes the line.
    throw new MedleyError('PRIVACY_LEDGER_DAMAGED', `${where} is not JSON`, { cause });
  }
}
