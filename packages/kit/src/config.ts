import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { LineCounter, parseDocument, type Document } from 'yaml';
import type { ErrorCode } from './catalogue/index.ts';
import { MedleyError } from './error.ts';
import { readText } from './file.ts';

/** A JSON Schema 2020-12 object schema. Every object in it says `additionalProperties: false`. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** A value read from YAML and the way back from a path in it to the line it stands on. */
export interface Located<T> {
  readonly value: T;
  /** 1-based line of the value at `path`, or of its nearest written ancestor. */
  lineOf(path: readonly (string | number)[]): number;
}

const ajv = new Ajv2020({
  allErrors: true,
  verbose: true,
  useDefaults: true,
  strict: true,
  allowUnionTypes: true,
});
const compiled = new WeakMap<JsonSchema, ValidateFunction>();

/**
 * Reads one YAML file against a schema. Defaults of the schema are filled in; unknown keys are
 * refused with the nearest known one. `T` is the caller's claim about what the schema admits.
 * Throws CONFIG_UNREADABLE when the file cannot be read and `code` (default CONFIG_INVALID) with
 * `file:line` for every fault when its content is wrong.
 */
export async function readYaml<T>(
  file: string,
  schema: JsonSchema,
  code: ErrorCode = 'CONFIG_INVALID',
): Promise<Located<T>> {
  return parseYaml<T>(await readText(file, 'CONFIG_UNREADABLE'), file, schema, code);
}

/** Like {@link readYaml} for text at hand; `source` names it in messages. */
export function parseYaml<T>(
  text: string,
  source: string,
  schema: JsonSchema,
  code: ErrorCode = 'CONFIG_INVALID',
): Located<T> {
  const lines = new LineCounter();
  // Aliases are refused by maxAliasCount: configuration needs none, and they allow expansion bombs.
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, version: '1.2' });
  const first = document.errors[0];
  if (first) {
    const line = lines.linePos(first.pos[0]).line;
    throw new MedleyError(code, `${source}:${String(line)}: ${first.message.split('\n')[0] ?? ''}`);
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 0 });
  } catch (cause) {
    throw new MedleyError(code, `${source}: aliases are not allowed`, { cause });
  }
  const lineOf = (path: readonly (string | number)[]): number => lineAt(document, lines, path);
  checkSchema(value, schema, code, (path) => `${source}:${String(lineOf(path))}`);
  return { value: value as T, lineOf };
}

/**
 * Checks `value` against `schema` in place (defaults are written into it). Throws `code` listing
 * every fault; `where` turns a path into the text before each fault.
 */
export function checkSchema(
  value: unknown,
  schema: JsonSchema,
  code: ErrorCode,
  where: (path: readonly (string | number)[]) => string = (path) => `/${path.join('/')}`,
): void {
  let validate = compiled.get(schema);
  if (!validate) {
    validate = ajv.compile(schema);
    compiled.set(schema, validate);
  }
  if (validate(value)) return;
  const faults = (validate.errors ?? [])
    .filter((e) => e.keyword !== 'if')
    .map((e) => describe(e, where));
  throw new MedleyError(code, [...new Set(faults)].join('; '));
}

function describe(
  error: ErrorObject,
  where: (path: readonly (string | number)[]) => string,
): string {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) =>
      /^\d+$/.test(part) ? Number(part) : part.replaceAll('~1', '/').replaceAll('~0', '~'),
    );
  const name = path.length === 0 ? 'the document' : path.join('.');
  const params = error.params as Readonly<Record<string, unknown>>;
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(params['additionalProperty']);
      const known = Object.keys((error.parentSchema?.['properties'] as object | undefined) ?? {});
      const near = nearest(key, known);
      const hint = near
        ? `, did you mean "${near}"?`
        : known.length > 0
          ? ` (known: ${known.join(', ')})`
          : '';
      return `${where([...path, key])}: unknown key "${key}"${hint}`;
    }
    case 'enum':
      return `${where(path)}: ${name} must be one of ${(params['allowedValues'] as unknown[]).join(', ')}`;
    case 'const':
      return `${where(path)}: ${name} must be ${JSON.stringify(params['allowedValue'])}`;
    default:
      return `${where(path)}: ${name} ${error.message ?? 'is invalid'}`;
  }
}

function lineAt(
  document: Document,
  lines: LineCounter,
  path: readonly (string | number)[],
): number {
  for (let length = path.length; length >= 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as
      { range?: [number, number, number] } | undefined;
    if (node?.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}

/** The known word at the smallest edit distance, if that is at most a third of the word. */
function nearest(word: string, known: readonly string[]): string | undefined {
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const name of known) {
    const distance = editDistance(word.toLowerCase(), name.toLowerCase());
    if (!best || distance < best.distance) best = { name, distance };
  }
  return best && best.distance <= Math.max(2, word.length / 3) ? best.name : undefined;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
