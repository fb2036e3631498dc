import { MedleyError } from '@medley/kit';
import type { Column, Model } from './schema.ts';
import type { SqliteClient } from './sqlite.ts';

type Value = string | number | bigint | Uint8Array | null;
type Fields = Readonly<Record<string, unknown>>;

/** Arguments of a query, as Prisma's own types have them. */
export interface QueryArgs {
  readonly where?: Fields;
  readonly orderBy?: Fields | readonly Fields[];
  readonly data?: Fields;
  readonly create?: Fields;
  readonly update?: Fields;
}

/** A piece of SQL with the values of its question marks. */
interface Sql {
  readonly text: string;
  readonly values: readonly Value[];
}

/** One model's queries: the methods of Prisma's client that the store uses. */
export type Delegate = Readonly<Record<string, (args?: QueryArgs) => Promise<unknown>>>;

/** How comparisons are written; a list is written by {@link test} itself. */
const COMPARISONS: Readonly<Record<string, string>> = { gte: '>=', gt: '>', lte: '<=', lt: '<' };

/**
 * Queries of one model over one connection. The names and arguments are those of Prisma's client, and
 * its types check them; of what those types admit only the forms below are understood, and any other
 * is INTERNAL. Throws what the driver throws.
 */
export function delegateOf(client: SqliteClient, model: Model): Delegate {
  const names = [...model.columns.values()].map(({ name }) => name).join(', ');
  const select = async ({ where, orderBy }: QueryArgs = {}, limit = ''): Promise<Fields[]> => {
    const condition = whereOf(model, where);
    const order = orderOf(model, orderBy);
    const sql = `SELECT ${names} FROM ${model.table}${condition.text}${order}${limit}`;
    const { rows } = await client.execute({ sql, args: [...condition.values] });
    return rows.map((row) => rowOf(model, row as unknown as readonly unknown[]));
  };
  const first = async (args?: QueryArgs): Promise<Fields | null> =>
    (await select(args, ' LIMIT 1'))[0] ?? null;
  const write = async ({ text, values }: Sql): Promise<void> => {
    await client.execute({ sql: text, args: [...values] });
  };
  return {
    findUnique: first,
    findFirst: first,
    findMany: (args) => select(args),
    count: async (args) => {
      const { text, values } = whereOf(model, args?.where);
      const sql = `SELECT count(*) FROM ${model.table}${text}`;
      const { rows } = await client.execute({ sql, args: [...values] });
      return Number(rows[0]?.[0]);
    },
    create: async (args) => write(insertion(model, args?.data ?? {})),
    upsert: async (args) => write(replacement(model, args ?? {})),
    updateMany: async (args) => write(change(model, args ?? {})),
  };
}

function insertion(model: Model, data: Fields): Sql {
  const set = Object.entries(data).map(([field, value]) => ({
    name: columnOf(model, field).name,
    value: plain(value),
  }));
  const places = set.map(() => '?').join(', ');
  const names = set.map(({ name }) => name).join(', ');
  return {
    text: `INSERT INTO ${model.table} (${names}) VALUES (${places})`,
    values: set.map(({ value }) => value),
  };
}

/** A row under its key, new or instead of the one that is there: `create` and `update` are the same. */
function replacement(model: Model, { where = {}, create = {}, update }: QueryArgs): Sql {
  if (create !== update) throw unknown('an upsert of two different rows');
  const key = Object.keys(flat(where)).map((field) => columnOf(model, field).name);
  const names = Object.keys(create).map((field) => columnOf(model, field).name);
  const others = names.filter((name) => !key.includes(name));
  // Something is always set, so that a trigger against changes sees every attempt.
  const set = (others.length > 0 ? others : key).map((name) => `${name} = excluded.${name}`);
  const { text, values } = insertion(model, create);
  const sql = `${text} ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${set.join(', ')}`;
  return { text: sql, values };
}

function change(model: Model, { where, data = {} }: QueryArgs): Sql {
  const set = Object.entries(data).map(([field, value]) => {
    const { name } = columnOf(model, field);
    return isFields(value) && 'increment' in value
      ? { text: `${name} = ${name} + ?`, value: plain(value['increment']) }
      : { text: `${name} = ?`, value: plain(value) };
  });
  const condition = whereOf(model, where);
  return {
    text: `UPDATE ${model.table} SET ${set.map(({ text }) => text).join(', ')}${condition.text}`,
    values: [...set.map(({ value }) => value), ...condition.values],
  };
}

function whereOf(model: Model, where: Fields = {}): Sql {
  const tests = Object.entries(flat(where)).map(([field, wanted]) =>
    test(columnOf(model, field).name, wanted),
  );
  if (tests.length === 0) return { text: '', values: [] };
  return {
    text: ` WHERE ${tests.map(({ text }) => text).join(' AND ')}`,
    values: tests.flatMap(({ values }) => values),
  };
}

function test(name: string, wanted: unknown): Sql {
  if (!isFields(wanted)) return { text: `${name} = ?`, values: [plain(wanted)] };
  const parts = Object.entries(wanted).map(([how, value]): Sql => {
    const comparison = Object.hasOwn(COMPARISONS, how) ? COMPARISONS[how] : undefined;
    if (comparison !== undefined)
      return { text: `${name} ${comparison} ?`, values: [plain(value)] };
    if (how === 'not' && value === null) return { text: `${name} IS NOT NULL`, values: [] };
    if ((how === 'in' || how === 'notIn') && Array.isArray(value)) {
      const places = value.map(() => '?').join(', ');
      return {
        text: `${name} ${how === 'in' ? 'IN' : 'NOT IN'} (${places})`,
        values: value.map(plain),
      };
    }
    throw unknown(`the condition ${how}`);
  });
  return {
    text: parts.map(({ text }) => text).join(' AND '),
    values: parts.flatMap(({ values }) => values),
  };
}

function orderOf(model: Model, orderBy: QueryArgs['orderBy'] = []): string {
  const terms = [orderBy].flat().flatMap((one) => Object.entries(one));
  if (terms.length === 0) return '';
  const texts = terms.map(([field, way]) => {
    if (way !== 'asc' && way !== 'desc') throw unknown('an order');
    return `${columnOf(model, field).name} ${way}`;
  });
  return ` ORDER BY ${texts.join(', ')}`;
}

/** `{a_b: {a, b}}`, as a key of several columns is called, is `{a, b}`. */
function flat(where: Fields): Fields {
  const [only, ...more] = Object.entries(where);
  const isKey = only && more.length === 0 && isFields(only[1]);
  return isKey && Object.keys(only[1] as Fields).join('_') === only[0]
    ? (only[1] as Fields)
    : where;
}

function columnOf(model: Model, field: string): Column {
  const column = model.columns.get(field);
  if (!column) throw unknown(`${model.table}.${field}`);
  return column;
}

/** A row as Prisma gives it: bytes in a copy of their own, 64-bit columns as bigint. */
function rowOf(model: Model, cells: readonly unknown[]): Fields {
  let place = 0;
  const row: Record<string, unknown> = {};
  for (const [field, { type }] of model.columns) {
    const cell = cells[place++];
    row[field] = cell === null ? null : cellOf(type, cell);
  }
  return row;
}

function cellOf(type: Column['type'], cell: unknown): unknown {
  switch (type) {
    case 'BigInt':
      return BigInt(cell as number);
    case 'Bytes':
      return new Uint8Array(cell as ArrayBuffer);
    case 'String':
    case 'Int':
      return cell;
  }
}

function plain(value: unknown): Value {
  if (value === null || ArrayBuffer.isView(value)) return value as Value;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint')
    return value;
  throw unknown(`a value of type ${typeof value}`);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !ArrayBuffer.isView(value);
}

function unknown(what: string): MedleyError {
  return new MedleyError('INTERNAL', `the store asked for ${what}, which it does not understand`);
}
