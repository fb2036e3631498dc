import { checkSchema, documentHash, MedleyError, timestamp, type JsonSchema } from '@medley/kit';
import type { SampledGaussian } from '../accountant/mechanism.ts';
import { ORDERS, rdpOf } from '../accountant/rdp.ts';

/** How the curves of this ledger were made; another way of counting is another version. */
export const LEDGER_ACCOUNTANT = { name: 'rdp', version: '1' } as const;

/** Whose presence a release hides, from the finest to the coarsest. */
export const UNITS = ['record', 'patient', 'silo'] as const;
export type PrivacyUnit = (typeof UNITS)[number];

/** Which data sets are neighbours: one unit more or less, or one exchanged for another. */
export type Adjacency = 'addRemove' | 'replaceOne';

/** What made the release, for people and for a second accountant; the curve is what counts. */
export interface ReleaseMechanism {
  /** E.g. `sampledGaussian`, `skellam`, `discreteGaussian`. */
  readonly kind: string;
  readonly parameters: Readonly<Record<string, number | string>>;
}

/** Something about to leave a data set, with its price. */
export interface Release {
  /** Names the release for good: asked again it is not paid again. */
  readonly releaseId: string;
  readonly study: string;
  readonly round?: number;
  readonly mechanism: ReleaseMechanism;
  readonly unit: PrivacyUnit;
  readonly adjacency: Adjacency;
  /** Rényi differential privacy at each of `ORDERS`; from 0, may be infinite. */
  readonly curve: ArrayLike<number>;
}

/** One paid release. Plain JSON; `hash` covers everything else and, by `previous`, all before it. */
export interface LedgerEntry {
  readonly medley: 'budget/v1';
  /** From 0, without gaps. */
  readonly sequence: number;
  readonly dataset: string;
  readonly id: string;
  readonly study: string;
  readonly round?: number;
  readonly mechanism: ReleaseMechanism;
  readonly unit: PrivacyUnit;
  readonly adjacency: Adjacency;
  readonly curve: readonly number[];
  readonly accountant: { readonly name: string; readonly version: string };
  /** RFC 3339, UTC. */
  readonly time: string;
  /** Hash of the entry before, hex; {@link genesisHash} for the first. */
  readonly previous: string;
  /** SHA-256 over the canonical form of all other fields, hex. */
  readonly hash: string;
}

const HASH = { type: 'string', pattern: '^[0-9a-f]{64}$' };
const NAME = { type: 'string', minLength: 1, maxLength: 200 };

const CONTENT = {
  id: NAME,
  study: NAME,
  round: { type: 'integer', minimum: 0 },
  mechanism: {
    type: 'object',
    additionalProperties: false,
    required: ['kind', 'parameters'],
    properties: {
      kind: { type: 'string', pattern: '^[a-z][A-Za-z0-9]{0,63}$' },
      parameters: {
        type: 'object',
        maxProperties: 32,
        additionalProperties: { type: ['number', 'string'] },
      },
    },
  },
  unit: { enum: UNITS },
  adjacency: { enum: ['addRemove', 'replaceOne'] },
  curve: {
    type: 'array',
    items: { type: 'number', minimum: 0 },
    minItems: ORDERS.length,
    maxItems: ORDERS.length,
  },
};
const CONTENT_KEYS = ['id', 'study', 'mechanism', 'unit', 'adjacency', 'curve'];

const CONTENT_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: CONTENT_KEYS,
  properties: CONTENT,
};

/** JSON Schema of {@link LedgerEntry}. */
export const ENTRY_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: [
    ...CONTENT_KEYS,
    ...['medley', 'sequence', 'dataset', 'accountant', 'time', 'previous', 'hash'],
  ],
  properties: {
    ...CONTENT,
    medley: { const: 'budget/v1' },
    sequence: { type: 'integer', minimum: 0 },
    dataset: NAME,
    accountant: {
      type: 'object',
      additionalProperties: false,
      required: ['name', 'version'],
      properties: {
        name: { const: LEDGER_ACCOUNTANT.name },
        version: { const: LEDGER_ACCOUNTANT.version },
      },
    },
    time: { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z$' },
    previous: HASH,
    hash: HASH,
  },
};

/** What {@link Release} says of itself, as it stands in an entry. */
export type EntryContent = Pick<
  LedgerEntry,
  'id' | 'study' | 'round' | 'mechanism' | 'unit' | 'adjacency' | 'curve'
>;

/** A release as an entry keeps it, a copy. Throws PRIVACY_PARAMETERS_INVALID. */
export function contentOf(release: Release): EntryContent {
  const { releaseId: id, study, round, mechanism, unit, adjacency, curve } = release;
  const content = {
    id,
    study,
    ...(round === undefined ? {} : { round }),
    mechanism: { kind: mechanism.kind, parameters: { ...mechanism.parameters } },
    unit,
    adjacency,
    // JSON has no infinity; the largest number shuts the order out just as well.
    curve: Array.from(curve, (value) => Math.min(value, Number.MAX_VALUE)),
  };
  checkSchema(content, CONTENT_SCHEMA, 'PRIVACY_PARAMETERS_INVALID');
  return content;
}

/** What the first entry of a data set's ledger has as `previous`: no chain fits another data set. */
export function genesisHash(dataset: string): string {
  return documentHash({ medley: 'budget/v1', dataset });
}

/** The entry that follows `entries`. Throws PRIVACY_PARAMETERS_INVALID. */
export function nextEntry(
  dataset: string,
  entries: readonly LedgerEntry[],
  release: Release,
  nowMs: number,
): LedgerEntry {
  const body: Omit<LedgerEntry, 'hash'> = {
    medley: 'budget/v1',
    sequence: entries.length,
    dataset,
    ...contentOf(release),
    accountant: LEDGER_ACCOUNTANT,
    time: timestamp(nowMs),
    previous: entries.at(-1)?.hash ?? genesisHash(dataset),
  };
  return { ...body, hash: documentHash(body) };
}

/**
 * Checks the form of every entry, its hash, its place and its data set. The entries come back as they
 * are. Throws PRIVACY_LEDGER_DAMAGED naming the first entry that is wrong.
 */
export function checkChain(dataset: string, values: readonly unknown[]): readonly LedgerEntry[] {
  let previous = genesisHash(dataset);
  const ids = new Set<string>();
  return values.map((value, i) => {
    const where = `data set ${dataset}, entry ${i}`;
    const damaged = (what: string): MedleyError =>
      new MedleyError('PRIVACY_LEDGER_DAMAGED', `${where}: ${what}`);
    checkSchema(value, ENTRY_SCHEMA, 'PRIVACY_LEDGER_DAMAGED', () => where);
    const entry = value as LedgerEntry;
    const { hash, ...body } = entry;
    if (documentHash(body) !== hash) throw damaged('its content is not what was hashed');
    if (entry.dataset !== dataset) throw damaged('it belongs to another data set');
    if (entry.sequence !== i || entry.previous !== previous)
      throw damaged('it does not follow the one before');
    if (ids.has(entry.id)) throw damaged('its release is there already');
    ids.add(entry.id);
    previous = hash;
    return entry;
  });
}

/** Mechanism and price of DP-SGD steps, to be put into a {@link Release}. */
export function gaussianPrice(mechanism: SampledGaussian): Pick<Release, 'mechanism' | 'curve'> {
  const curve = rdpOf(mechanism);
  const { rate, noiseMultiplier, steps } = mechanism;
  const parameters = { rate, noiseMultiplier, steps };
  return { mechanism: { kind: 'sampledGaussian', parameters }, curve };
}
