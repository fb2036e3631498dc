import { readFile } from 'node:fs/promises';
import { checkSchema, MedleyError, writeDurably, type JsonSchema } from '@medley/kit';

/** Node's code of a failed system call, e.g. ENOENT; undefined for anything else. */
export function errnoOf(caught: unknown): string | undefined {
  // Not instanceof: the error may come from another realm, as it does under jest.
  if (typeof caught !== 'object' || caught === null || !('code' in caught)) return undefined;
  return typeof caught.code === 'string' ? caught.code : undefined;
}

/** True for the error of a file that is not there, as against one that cannot be read. */
export function isMissing(caught: unknown): boolean {
  return errnoOf(caught) === 'ENOENT';
}

/** The file's bytes, undefined when it is not there. Throws FILE_UNREADABLE. */
export async function readIfThere(file: string): Promise<Uint8Array | undefined> {
  try {
    // A view, not a copy: model states have tens of megabytes.
    const { buffer, byteOffset, length } = await readFile(file);
    return new Uint8Array(buffer, byteOffset, length);
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    throw new MedleyError('FILE_UNREADABLE', `${file} cannot be read`, { cause });
  }
}

/**
 * A JSON document that the agent wrote for itself, undefined when it is not there. `T` is the claim of
 * what the schema admits. Throws AGENT_STATE_INVALID naming the file, FILE_UNREADABLE.
 */
export async function readDocument<T>(file: string, schema: JsonSchema): Promise<T | undefined> {
  const bytes = await readIfThere(file);
  if (bytes === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new MedleyError('AGENT_STATE_INVALID', `${file} is not JSON`, { cause });
  }
  checkSchema(value, schema, 'AGENT_STATE_INVALID', (path) => `${file} /${path.join('/')}`);
  return value as T;
}

/** Writes a document durably, mode 0600. Throws FILE_UNWRITABLE. */
export async function writeDocument(file: string, value: object): Promise<void> {
  await writeDurably(file, `${JSON.stringify(value, undefined, 2)}\n`);
}
