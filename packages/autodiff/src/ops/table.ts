import type { Operator } from '../graph/operator.ts';
import { OPERATORS } from './registry.ts';

const HEAD = `# Operators

<!-- Made by \`npm run docs\` from the registry of packages/autodiff. A test fails when it is out of date. -->

Models of the operator sets 6 to 26 are brought to operator set 18 of ONNX before they are trained; what
newer sets added is written in these operators then. A model may hold any operator of the runtime
where no weight comes before it; on the way from the weights to the loss it needs one of the first table.

Where the calculus leaves a choice, gradients are those of PyTorch. "Cases" counts the nodes whose
gradients are compared with finite differences, each with sizes known and, where the rank allows it, with
sizes that are known by name only.
`;

const TRAINED = `
## Trained through

| Operator | At kinks and ties | Limits | Cases |
| --- | --- | --- | ---: |
`;

const STOPPED = `
## Where gradients end

Their derivative is zero wherever it exists, or their results are whole numbers: what comes before
them gets no gradient through them, as in PyTorch.

`;

const REFUSED = `
## Refused

On the way from the weights to the loss these are named, all of them at once, before any training begins.

| Operator | What to do |
| --- | --- |
`;

const byName = (a: Operator, b: Operator): number => (a.op < b.op ? -1 : 1);

/** The page docs/operators.md; `cases` says how many nodes of each operator are checked. */
export function operatorsMarkdown(cases: ReadonlyMap<string, number>): string {
  const all = [...OPERATORS.values()].sort(byName);
  const stopped = all.filter(({ gradient: rule }) => rule === 'stop');
  const trained = all.filter(
    ({ gradient: rule, lower }) => typeof rule === 'function' || lower !== undefined,
  );
  const refused = all.filter(
    ({ gradient: rule, lower }) => rule === undefined && lower === undefined,
  );
  const rows = trained.map(
    ({ op, convention = '', limits = '' }) =>
      `| ${op} | ${convention} | ${limits} | ${cases.get(op) ?? 0} |\n`,
  );
  const advice = refused.map(({ op, advice: text = '' }) => `| ${op} | ${text} |\n`);
  const names = stopped.map(({ op }) => op).join(', ');
  return `${HEAD}${TRAINED}${rows.join('')}${STOPPED}${names}.\n${REFUSED}${advice.join('')}`;
}

/** How often each operator occurs among `cases`. */
export function countByOperator(
  cases: readonly { readonly op: string }[],
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { op } of cases) counts.set(op, (counts.get(op) ?? 0) + 1);
  return counts;
}
