import { MedleyError } from '@medley/kit';
import { dims, stringOf, type Value } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientContext, GradientRule, Operator } from '../graph/operator.ts';
import { broadcast, type Dim, type Shape } from '../graph/shape.ts';
import { sumTo } from './broadcast.ts';

/** An equation with a letter for every axis: ellipses are written out. */
interface Equation {
  readonly operands: readonly string[];
  readonly result: string;
}

const LETTERS = Array.from('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ');

function invalid(equation: string): MedleyError {
  return new MedleyError('MODEL_INVALID', `Einsum cannot follow the equation "${equation}"`);
}

/** Reads the equation for operands of these ranks. Throws MODEL_INVALID. */
function equationOf(text: string, ranks: readonly number[]): Equation {
  const [left = '', right, ...more] = text.replaceAll(' ', '').split('->');
  const terms = left.split(',');
  const widths = terms.map((term, i) => ranks[i]! - term.replace('...', '').length);
  const isClear = terms.every((term, i) =>
    term.includes('...') ? widths[i]! >= 0 : widths[i] === 0,
  );
  const isWritten = [...terms, right ?? ''].every((term) => /^[a-z]*(\.\.\.)?[a-z]*$/i.test(term));
  if (more.length > 0 || terms.length !== ranks.length || !isClear || !isWritten)
    throw invalid(text);
  const free = LETTERS.filter((letter) => !text.includes(letter));
  const widest = Math.max(...widths);
  if (widest > free.length) throw invalid(text);
  const axes = free.slice(0, widest).join('');
  const spelled = (term: string, width: number): string =>
    term.replace('...', axes.slice(widest - width));
  const result = right ?? `${widest > 0 ? '...' : ''}${onceIn(terms.join(''))}`;
  return {
    operands: terms.map((term, i) => spelled(term, widths[i]!)),
    result: spelled(result, widest),
  };
}

/** Without a right side: the letters that occur once, in the order of the alphabet. */
function onceIn(text: string): string {
  const letters = Array.from(text).filter((letter) => letter !== '.');
  const once = letters.filter((letter) => letters.filter((other) => other === letter).length === 1);
  return once.sort((a, b) => (a < b ? -1 : 1)).join('');
}

const hasRepeats = (term: string): boolean => new Set(term).size < term.length;

/** The equation of a node whose operands all have a known rank. */
function readEquation(c: Pick<InferContext, 'attributes' | 'inputs'>): Equation | undefined {
  const ranks = c.inputs.map((input) => input?.shape?.length);
  if (ranks.some((rank) => rank === undefined)) return undefined;
  return equationOf(stringOf(c, 'equation', ''), ranks as readonly number[]);
}

/** The size that each letter stands for. */
function sizesOf(
  { operands }: Equation,
  shapes: readonly Shape[],
  fresh: () => string,
): ReadonlyMap<string, Dim> {
  const sizes = new Map<string, Dim>();
  operands.forEach((term, i) => {
    Array.from(term).forEach((letter, axis) => {
      const dim = shapes[i]![axis]!;
      const before = sizes.get(letter);
      const both = before === undefined ? [dim] : broadcast([[before], [dim]], fresh);
      if (both === undefined) {
        throw new MedleyError('MODEL_INVALID', `Einsum has two sizes for the index "${letter}"`);
      }
      sizes.set(letter, both[0]!);
    });
  });
  return sizes;
}

function inferEinsum(c: InferContext): readonly Inferred[] {
  const dtype = c.inputs[0]?.dtype;
  const equation = readEquation(c);
  if (equation === undefined) return [{ dtype, shape: undefined }];
  const sizes = sizesOf(
    equation,
    c.inputs.map((input) => dims(input!)),
    c.fresh,
  );
  return [
    { dtype, shape: Array.from(equation.result, (letter) => sizes.get(letter) ?? c.fresh()) },
  ];
}

// The gradient of a sum of products: dY times the other operands, summed over what this one lacks.
const einsum: GradientRule = (c, [g]) => {
  const equation = readEquation(c)!;
  return c.inputs.map((_, i) =>
    c.needs[i] === true ? operandGradient(c, equation, g!, i) : undefined,
  );
};

function operandGradient(
  c: GradientContext,
  { operands, result }: Equation,
  g: Value,
  i: number,
): Value {
  const { b, inputs } = c;
  const x = inputs[i]!;
  const own = Array.from(operands[i]!);
  const terms = [result, ...operands.filter((_, at) => at !== i)];
  const values = [g, ...inputs.filter((_, at) => at !== i)];
  const isReached = (letter: string): boolean => terms.some((term) => term.includes(letter));
  const reached = own.filter(isReached).join('');
  const product = b.op('Einsum', values, { equation: `${terms.join(',')}->${reached}` });
  const missing = own.flatMap((letter, axis) => (isReached(letter) ? [] : [axis]));
  if (missing.length === 0) return sumTo(b, product, x);
  // What only this operand has was summed: every element of it gets the same.
  const opened = b.op('Unsqueeze', [product, b.ints(missing)]);
  const spread = b.op('Expand', [opened, b.shapeOf(x)]);
  return sumTo(b, spread, x);
}

function refuse(c: InferContext): string | undefined {
  const equation = readEquation(c);
  return equation?.operands.some(hasRepeats) === true
    ? 'an operand has one index twice: take its diagonal by GatherElements before'
    : undefined;
}

/** Sums of products by an equation, with ellipses and broadcasting. */
export const EINSUM: readonly Operator[] = [
  {
    op: 'Einsum',
    infer: inferEinsum,
    gradient: einsum,
    refuse,
    limits: 'no index twice in one operand',
  },
];
