import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MedleyError } from '@medley/kit';

/** Types of columns that the schema uses. */
export type ColumnType = 'String' | 'Int' | 'BigInt' | 'Bytes';

export interface Column {
  /** Name in the database. */
  readonly name: string;
  readonly type: ColumnType;
}

/** One model of the Prisma schema as the database has it. */
export interface Model {
  readonly table: string;
  /** By the name of the field, in the order of the schema. */
  readonly columns: ReadonlyMap<string, Column>;
}

const FILE = fileURLToPath(new URL('../../prisma/models.prisma', import.meta.url));
const TYPES: readonly string[] = ['String', 'Int', 'BigInt', 'Bytes'];

/**
 * The models of prisma/models.prisma by the names that queries call them by (`logEntry`). Reads the
 * part of the language that the file uses: scalar fields, `@map` and `@@map`. Throws STORE_UNUSABLE.
 */
export function readModels(text = readFileSync(FILE, 'utf8')): ReadonlyMap<string, Model> {
  const models = new Map<string, Model>();
  for (const [, name = '', body = ''] of text.matchAll(/^model (\w+) \{\n([^}]*)^\}/gm)) {
    const columns = new Map<string, Column>();
    for (const [, field = '', type = '', rest = ''] of body.matchAll(/^ {2}(\w+) +(\w+)(.*)$/gm)) {
      if (!isColumnType(type)) {
        throw new MedleyError('STORE_UNUSABLE', `models.prisma: ${name}.${field} is a ${type}`);
      }
      columns.set(field, { name: /@map\("(\w+)"\)/.exec(rest)?.[1] ?? field, type });
    }
    const table = /^ {2}@@map\("(\w+)"\)/m.exec(body)?.[1] ?? name;
    models.set(`${name.charAt(0).toLowerCase()}${name.slice(1)}`, { table, columns });
  }
  return models;
}

function isColumnType(type: string): type is ColumnType {
  return TYPES.includes(type);
}
