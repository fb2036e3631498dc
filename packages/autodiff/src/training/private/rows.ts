import type { Builder } from '../../graph/builder.ts';
import { constantOf, type Node, type Value } from '../../graph/graph.ts';
import { isFloat } from '../../graph/dtype.ts';
import type { Dim } from '../../graph/shape.ts';
import { AXIS_RULES } from './axis.ts';

/** Which axis of each value counts the rows, or why that is not known. */
export type RowAxes = { readonly axes: ReadonlyMap<string, number> } | { readonly fault: string };

/**
 * Establishes that every row of every value depends on that row of the data alone.
 *
 * A value has rows (an axis on which place i depends on example i alone), is the same whatever the
 * batch is, or depends on the number of rows. The last is good for shapes only: as a factor it would
 * let one example change the gradients of all others, beyond what clipping bounds. Operators without
 * an axis rule and rules that cannot tell are a fault, never a guess.
 *
 * @param starts the data, with rows on axis 0
 */
export function rowAxes(b: Builder, nodes: readonly Node[], starts: readonly Value[]): RowAxes {
  const axes = new Map(starts.map(({ name }) => [name, 0]));
  const counts = new Set(starts.map(({ shape }) => shape?.[0]));
  const tainted = new Set<string>();
  const isFree = (dim: Dim): boolean =>
    typeof dim === 'number' || (!dim.startsWith('?') && !counts.has(dim));
  for (const node of nodes) {
    const given = node.inputs.filter((name) => name !== '');
    const outputs = node.outputs.flatMap((name) => (name === '' ? [] : [b.values.get(name)!]));
    const fault = { fault: `${node.op} "${node.name}"` };
    if (node.op === 'Shape' || node.op === 'Size' || isShapeArithmetic(node, given)) {
      for (const output of outputs) if (!isFixed(output, isFree)) tainted.add(output.name);
      continue;
    }
    const hasRows = given.some((name) => axes.has(name));
    const hasCount = given.some((name) => tainted.has(name));
    if (!hasRows && !hasCount) {
      if ([...node.attributes.values()].some(({ kind }) => kind === 'graph')) return fault;
      continue;
    }
    if (!hasRows) {
      const axis = filled(node, outputs[0]);
      if (axis === undefined) return fault;
      axes.set(outputs[0]!.name, axis);
      continue;
    }
    const isMisplaced = given.some((name, i) => tainted.has(name) && !takesShape(node, i));
    const axis = isMisplaced ? undefined : rowAxis(b, node, axes);
    if (axis === undefined) return fault;
    for (const output of outputs) axes.set(output.name, axis);
  }
  return { axes };

  /** Arithmetic on sizes: integers all over, without rows. */
  function isShapeArithmetic({ outputs }: Node, given: readonly string[]): boolean {
    const isInteger = (name: string): boolean => {
      const dtype = b.values.get(name)?.dtype;
      return dtype !== undefined && !isFloat(dtype);
    };
    return (
      given.some((name) => tainted.has(name)) &&
      !given.some((name) => axes.has(name)) &&
      [...given, ...outputs].every(isInteger)
    );
  }

  /** A filler or a copy of one thing for each row: [rows, ...]. */
  function filled(node: Node, output: Value | undefined): number | undefined {
    const isFill = node.op === 'Expand' || node.op === 'ConstantOfShape';
    if (!isFill || tainted.has(node.op === 'Expand' ? (node.inputs[0] ?? '') : ''))
      return undefined;
    const [count, ...rest] = output?.shape ?? [];
    const source = node.op === 'Expand' ? b.values.get(node.inputs[0] ?? '')?.shape : [];
    const fits = source !== undefined && (source.length <= rest.length || source[0] === 1);
    return count !== undefined && counts.has(count) && fits && rest.every(isFree) ? 0 : undefined;
  }
}

function rowAxis(b: Builder, node: Node, axes: ReadonlyMap<string, number>): number | undefined {
  if (node.domain !== '') return undefined;
  const values = node.inputs.map((name) => b.values.get(name));
  const outputs = node.outputs.map((name) => b.values.get(name)!);
  if (node.outputs.some((name, i) => name !== '' && outputs[i]!.shape === undefined))
    return undefined;
  return AXIS_RULES.get(node.op)?.({
    attributes: node.attributes,
    inputs: values,
    outputs,
    axis: (i) => axes.get(node.inputs[i] ?? ''),
  });
}

const isFixed = (value: Value, isFree: (dim: Dim) => boolean): boolean =>
  constantOf(value) !== undefined || value.content?.every(isFree) === true;

/** Inputs that say a shape and nothing else. */
function takesShape({ op }: Node, input: number): boolean {
  return input === 1 && (op === 'Reshape' || op === 'Expand');
}
