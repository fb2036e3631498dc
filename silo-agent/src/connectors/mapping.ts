import type { JsonSchema } from '@medley/kit';

/** Reads one cell. At most one of `map` and `bin`; `scale` and `offset` go with numbers only. */
export interface CellRule {
  /** Column name in the source's header. */
  readonly from: string;
  /** Source text to level name or number; text that is not listed is a fault. */
  readonly map?: Readonly<Record<string, string | number>>;
  /** A number to a level: `labels[i]` for values up to and including `edges[i]`, the last above. */
  readonly bin?: { readonly edges: readonly number[]; readonly labels: readonly string[] };
  /** value = cell · scale + offset, into the study's unit. */
  readonly scale?: number;
  readonly offset?: number;
  /** Unit of the source; when it is not the study's, `scale` must say how to convert. */
  readonly unit?: string;
}

/** A source column read as a number, or a cell rule. */
export type Operand = string | CellRule;

/** How one column of the study is made from the columns of the source. */
export type ColumnRule =
  | CellRule
  | { readonly max: readonly Operand[] }
  | {
      /** `then` where `when` is not zero, else `else`. */
      readonly choose: { readonly when: Operand; readonly then: Operand; readonly else: Operand };
    };

/** Rules by the study's column names. Names that a study does not use are left alone. */
export type Mapping = Readonly<Record<string, ColumnRule>>;

const CELL_PROPERTIES: Readonly<Record<string, JsonSchema>> = {
  from: { type: 'string', minLength: 1, description: 'Column name in the source’s header.' },
  map: {
    type: 'object',
    description: 'Source text to level name or number; other text is a fault.',
    minProperties: 1,
    additionalProperties: { type: ['string', 'number'] },
  },
  bin: {
    type: 'object',
    description: 'A number to a level: labels[i] up to and including edges[i], the last above.',
    additionalProperties: false,
    required: ['edges', 'labels'],
    properties: {
      edges: { type: 'array', items: { type: 'number' }, minItems: 1 },
      labels: { type: 'array', items: { type: 'string', minLength: 1 }, minItems: 2 },
    },
  },
  scale: { type: 'number', description: 'value = cell · scale + offset, in the study’s unit.' },
  offset: { type: 'number' },
  unit: { type: 'string', minLength: 1, description: 'Unit of the source (UCUM).' },
};

const CELL: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['from'],
  properties: CELL_PROPERTIES,
};

const OPERAND: JsonSchema = { anyOf: [{ type: 'string', minLength: 1 }, CELL] };

const RULE: JsonSchema = {
  type: 'object',
  description: 'Exactly one of from, max and choose.',
  additionalProperties: false,
  minProperties: 1,
  properties: {
    ...CELL_PROPERTIES,
    max: { type: 'array', items: OPERAND, minItems: 2, description: 'The largest of these.' },
    choose: {
      type: 'object',
      description: 'then where when is not zero, else else.',
      additionalProperties: false,
      required: ['when', 'then', 'else'],
      properties: { when: OPERAND, then: OPERAND, else: OPERAND },
    },
  },
};

/** JSON Schema of {@link Mapping}. What it cannot say, `compileMapping` checks. */
export const MAPPING_SCHEMA: JsonSchema = {
  type: 'object',
  description: 'Rules by the study’s column names.',
  minProperties: 1,
  additionalProperties: RULE,
};
