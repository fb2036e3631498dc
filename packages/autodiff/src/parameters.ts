import { MedleyError } from '@medley/kit';
import { placeAlone } from './alone.ts';
import { bufferUpdates } from './buffers.ts';
import { isFloat } from './graph/dtype.ts';
import type { Graph } from './graph/graph.ts';
import type { BatchNormMode } from './graph/mode.ts';
import { elementCount, floatsOf, type Tensor } from './graph/tensor.ts';
import type { Model } from './model.ts';
import { differentiableInputs, gradientPath } from './path.ts';

/**
 * What happens to an entry of the flat vector: `trainable` and `local` ones are moved by the optimizer
 * (`local` ones are one site's own and are never sent), a `buffer` is a running statistic, replaced by
 * its next value at each update.
 */
export type Role = 'trainable' | 'local' | 'buffer';

/** A weight or running statistic of a model and its place in the flat vector. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Number of elements. */
  readonly count: number;
  /** Index of its first element in the flat vector of all parameters. */
  readonly offset: number;
  readonly role: Role;
}

/** How a model file is read for training. Patterns are names in which `*` stands for any text. */
export interface ModelOptions {
  /**
   * Weights to train; all others are frozen.
   * @default every float32 initializer from which a gradient reaches an output
   */
  readonly trainable?: readonly string[];
  /** Weights that keep the file's values. @default none */
  readonly frozen?: readonly string[];
  /** Weights that are trained but belong to one site. @default none */
  readonly local?: readonly string[];
  /** What BatchNormalization does in training. @default asExported */
  readonly batchNorm?: BatchNormMode;
  /**
   * Whether weights that the file stores once for several layers become several; false for models
   * that tie them on purpose.
   * @default true
   */
  readonly unshare?: boolean;
}

/** The entries of the flat vector, and the weights that are none of them. */
export interface Assigned {
  /** Trainable ones first, then local, then buffers; each group in the order of the file. */
  readonly parameters: readonly Parameter[];
  /** Weights and statistics that stay as the file has them. */
  readonly frozen: readonly string[];
}

/**
 * Gives every float initializer its role. Throws MODEL_PARAMETER_NOT_FLOAT, and
 * TRAINING_OPTIONS_INVALID for patterns that fit nothing or contradict each other.
 */
export function assignRoles(
  model: Pick<Model, 'graph' | 'constants'>,
  options: ModelOptions,
): Assigned {
  const buffers = bufferUpdates(model.graph);
  const flowing = reached(model);
  const usual = [...flowing].filter(
    (name) => !buffers.has(name) && !isMachineScalar(name, model.graph.initializers.get(name)!),
  );
  const choose = chooser([...new Set([...flowing, ...buffers.keys()])]);
  const wanted = options.trainable === undefined ? new Set(usual) : choose(options.trainable);
  const frozen = choose(options.frozen ?? []);
  const local = choose(options.local ?? []);
  for (const name of [...frozen, ...local]) {
    if (buffers.has(name) || (frozen.has(name) && local.has(name))) {
      const what = buffers.has(name)
        ? 'is a running statistic and cannot be local or frozen'
        : 'cannot be frozen and local';
      throw new MedleyError('TRAINING_OPTIONS_INVALID', `"${name}" ${what}`);
    }
  }
  const roleOf = (name: string): Role | undefined => {
    if (buffers.has(name)) return 'buffer';
    if (local.has(name)) return 'local';
    return wanted.has(name) && !frozen.has(name) ? 'trainable' : undefined;
  };
  const names = [...model.graph.initializers.keys()];
  const parameters = layOut(
    model.graph,
    (['trainable', 'local', 'buffer'] as const).flatMap((role) =>
      names.filter((name) => roleOf(name) === role).map((name) => ({ name, role })),
    ),
  );
  const kept = new Set([...usual.filter((name) => roleOf(name) === undefined), ...fixed(model)]);
  return { parameters, frozen: names.filter((name) => kept.has(name)) };
}

/** Length of the flat vector. */
export function parameterCount(parameters: readonly Parameter[]): number {
  return parameters.reduce((sum, { count }) => sum + count, 0);
}

/** The entries that the optimizer moves: the prefix of the flat vector. */
export function movedParameters(parameters: readonly Parameter[]): readonly Parameter[] {
  return parameters.filter(({ role }) => role !== 'buffer');
}

/** The flat vector of all parameters as the file holds them, in manifest order; owned by the caller. */
export function flatParameters(model: Pick<Model, 'graph' | 'parameters'>): Float32Array {
  const flat = new Float32Array(parameterCount(model.parameters));
  for (const { name, offset } of model.parameters)
    flat.set(floatsOf(model.graph.initializers.get(name)!), offset);
  return flat;
}

/** Float initializers from which a gradient reaches an output. */
function reached(model: Pick<Model, 'graph' | 'constants'>): ReadonlySet<string> {
  const { b, placed } = placeAlone(model);
  const names = new Map(
    [...model.graph.initializers]
      .filter(([, tensor]) => isFloat(tensor.dtype))
      .map(([name]) => [placed.values.get(name)!.name, name]),
  );
  const targets = model.graph.outputs.flatMap(({ name }) => placed.values.get(name)?.name ?? []);
  const used = new Set<string>();
  for (const { node } of gradientPath(b, placed, names.keys(), targets)) {
    for (const input of differentiableInputs(node)) {
      if (names.has(input)) used.add(names.get(input)!);
    }
  }
  return used;
}

/** Running statistics that an inference BatchNormalization reads. */
function fixed({ graph }: Pick<Model, 'graph'>): readonly string[] {
  const updated = bufferUpdates(graph);
  return graph.nodes
    .filter(({ op, domain }) => op === 'BatchNormalization' && domain === '')
    .flatMap(({ inputs }) => inputs.slice(3, 5))
    .filter((name) => graph.initializers.has(name) && !updated.has(name));
}

function layOut(
  graph: Graph,
  entries: readonly { readonly name: string; readonly role: Role }[],
): readonly Parameter[] {
  let offset = 0;
  return entries.map(({ name, role }) => {
    const tensor = graph.initializers.get(name)!;
    if (tensor.dtype !== 'float32') {
      throw new MedleyError(
        'MODEL_PARAMETER_NOT_FLOAT',
        `the weight "${name}" is of type ${tensor.dtype}`,
      );
    }
    const parameter = { name, shape: tensor.dims, count: elementCount(tensor.dims), offset, role };
    offset += parameter.count;
    return parameter;
  });
}

/** Resolves patterns among `names`. */
function chooser(names: readonly string[]) {
  return (patterns: readonly string[]): ReadonlySet<string> => {
    const chosen = patterns.flatMap((pattern) => {
      const parts = pattern.split('*');
      const found = names.filter((name) => fits(name, parts));
      if (found.length > 0) return found;
      throw new MedleyError('TRAINING_OPTIONS_INVALID', `no weight is called "${pattern}"`);
    });
    return new Set(chosen);
  };
}

/** True when `name` is the parts with any text between them; linear in the length, unlike a RegExp. */
function fits(name: string, parts: readonly string[]): boolean {
  const [first = '', ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return name === first;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}

/** A scalar that an exporter made of a number in the code (PyTorch: `val_3`, `onnx::Mul_12`). */
function isMachineScalar(name: string, tensor: Tensor): boolean {
  return (
    tensor.dims.length === 0 && /^(val_\d+|\d+|onnx::.*|ortshared.*|scalar.*)$|constant/i.test(name)
  );
}
