import type { Dim } from './shape.ts';

/**
 * Arithmetic on sizes. A result that has no number is a symbol that spells its formula, in one way
 * only, so that the same formula gives the same symbol wherever it is written.
 */

const MARKS = { product: '?product', sum: '?sum', quotient: '?quotient' } as const;

type Mark = keyof typeof MARKS;

const spell = (mark: Mark, parts: readonly Dim[]): string => MARKS[mark] + JSON.stringify(parts);

function partsOf(dim: Dim, mark: Mark): readonly Dim[] | undefined {
  if (typeof dim === 'number' || !dim.startsWith(`${MARKS[mark]}[`)) return undefined;
  return JSON.parse(dim.slice(MARKS[mark].length)) as readonly Dim[];
}

const isText = (dim: Dim): dim is string => typeof dim === 'string';
const isNumber = (dim: Dim): dim is number => typeof dim === 'number';
const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The product of sizes; 1 for none. */
export function product(dims: readonly Dim[]): Dim {
  const factors = dims.flatMap((dim) => partsOf(dim, 'product') ?? [dim]);
  const count = factors.filter(isNumber).reduce((all, factor) => all * factor, 1);
  const names = factors.filter(isText).sort(byName);
  if (names.length === 0 || count === 0) return count;
  if (names.length === 1 && count === 1) return names[0]!;
  return spell('product', count === 1 ? names : [count, ...names]);
}

/** `a` / `b`, rounded towards zero as integers are; undefined for a division by zero. */
export function quotient(a: Dim, b: Dim): Dim | undefined {
  if (b === 0) return undefined;
  const over = [...(partsOf(a, 'product') ?? [a])];
  const under: Dim[] = [];
  for (const factor of partsOf(b, 'product') ?? [b]) {
    const at = isText(factor) ? over.indexOf(factor) : -1;
    if (at >= 0) over.splice(at, 1);
    else under.push(factor);
  }
  const [top, bottom] = [product(over), product(under)];
  if (bottom === 1) return top;
  const lead = over.find(isNumber) ?? 1;
  if (isNumber(bottom) && lead % bottom === 0) {
    return product([lead / bottom, ...over.filter(isText)]);
  }
  if (isNumber(top) && isNumber(bottom)) return Math.trunc(top / bottom);
  return spell('quotient', [top, bottom]);
}

/** `a` + `b`. */
export function sum(a: Dim, b: Dim): Dim {
  const counts = new Map<string, number>();
  let constant = 0;
  for (const term of [a, b].flatMap((dim) => partsOf(dim, 'sum') ?? [dim])) {
    if (isNumber(term)) {
      constant += term;
      continue;
    }
    const factors = partsOf(term, 'product') ?? [term];
    const name = product(factors.filter(isText)) as string;
    counts.set(name, (counts.get(name) ?? 0) + (factors.find(isNumber) ?? 1));
  }
  const terms = [...counts]
    .filter(([, count]) => count !== 0)
    .sort(([x], [y]) => byName(x, y))
    .map(([name, count]) => product([count, name]));
  if (terms.length === 0) return constant;
  if (terms.length === 1 && constant === 0) return terms[0]!;
  return spell('sum', constant === 0 ? terms : [...terms, constant]);
}

/** `a` − `b`. */
export function difference(a: Dim, b: Dim): Dim {
  const terms = partsOf(b, 'sum') ?? [b];
  return terms.reduce<Dim>((rest, term) => sum(rest, product([-1, term])), a);
}
