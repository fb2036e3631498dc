import { differentiate } from '../differentiate.ts';
import type { Builder } from '../graph/builder.ts';
import { bufferUpdates } from '../buffers.ts';
import { flatOf, joined } from '../graph/flat.ts';
import type { Graph, Value } from '../graph/graph.ts';
import { KEY, noKey } from '../graph/chance.ts';
import { place } from '../graph/place.ts';
import type { Shape } from '../graph/shape.ts';
import type { Loss } from '../loss/loss.ts';
import type { Model } from '../model.ts';
import type { Numbers, Optimizer, UpdateContext } from '../optimizer/optimizer.ts';
import { movedParameters } from '../parameters.ts';
import { gradientPath } from '../path.ts';
import { clippedGradients, noised, privacyInputs } from './private/clipped.ts';
import type { ClippingMethod } from './private/method.ts';
import { namesFor } from './embedding/lookup.ts';
import { numbered, rowNumbers, rowsAt, withRows, type Numbered } from './embedding/rows.ts';
import { allPieces, tensorsOf, type Piece, type Pieces } from './pieces.ts';

/** What the graphs of one training have in common. */
export interface Plan {
  readonly model: Model;
  /** The model's graph as it runs while learning, running statistics updated. */
  readonly training: Graph;
  /** How the flat vector is cut while it is updated. */
  readonly pieces: Pieces;
  /** The model's graph as it runs on rows only to look at. */
  readonly inference: Graph;
  readonly loss: Loss;
  readonly optimizer: Optimizer;
  /** Name of the output in the model. */
  readonly output: string;
  readonly outputShape: Shape;
  /** How gradients are clipped by example; absent where they are not. */
  readonly clipping?: ClippingMethod;
  /** True when the training graph reads a key; the hyperparameter `seed` decides it. */
  readonly isRandom?: boolean;
}

/** The values a forward pass is fed with. */
export interface Batch {
  /** By the plan's pieces, flat; of an embedding its open rows, [open, width]. */
  readonly parameters: readonly Value[];
  /** For each embedding by name: where its rows stand among the open ones, [rows]. */
  readonly places?: ReadonlyMap<string, Value>;
  /** By the model's input names. */
  readonly inputs: ReadonlyMap<string, Value>;
  readonly labels: Value;
  /** [rows] */
  readonly weights: Value;
  /** What the masks of Dropout follow from, a uint32 scalar; see `repeatable`. */
  readonly key?: Value | undefined;
}

/** The state an update moves on. */
export interface State {
  /** For each moved piece its slots, formed as its parameters. */
  readonly slots: readonly (readonly Value[])[];
  readonly hyper: Numbers;
  /** What {@link Optimizer.numbers} gave, for this update. */
  readonly numbers: Numbers;
  /** For each moved piece what {@link Optimizer.vectors} names. */
  readonly vectors: readonly Numbers[];
  /** What is added to the clipped sum, [trainableCount]; there where gradients are clipped. */
  readonly noise?: Value;
}

/** What an update gives: pieces formed as they came. */
export interface Updated {
  readonly parameters: readonly Value[];
  readonly slots: readonly (readonly Value[])[];
  /** By moved piece; of an embedding those of its open rows. */
  readonly gradients: readonly Value[];
  readonly loss: Value;
  readonly norms?: Value | undefined;
}

/** An embedding in an update: the open rows that its batch looks up. */
interface Touched {
  readonly rows: Numbered;
  readonly places: Value;
}

/** Forward pass of one of the plan's graphs, and losses: of each row, and their weighted mean. */
export function forward(
  b: Builder,
  plan: Plan,
  graph: Graph,
  batch: Batch,
  touched: readonly (Touched | undefined)[] = [],
) {
  const { model, loss } = plan;
  const bound = new Map(batch.inputs);
  const parameters = allPieces(plan.pieces).flatMap((piece, i) =>
    touched[i] === undefined ? tensorsOf(b, piece, batch.parameters[i]!) : [batch.parameters[i]!],
  );
  model.parameters.forEach(({ name }, i) => bound.set(name, parameters[i]!));
  plan.pieces.moved.forEach(({ embedding }, i) => {
    const rows = touched[i];
    if (embedding === undefined || rows === undefined) return;
    const names = namesFor(embedding.name);
    bound.set(names.places, rows.places).set(names.local, rows.rows.places);
  });
  if (plan.isRandom === true) bound.set(KEY, batch.key ?? noKey(b));
  const placed = place(b, graph, model.constants, bound);
  const output = b.adopt({ ...placed.values.get(plan.output)!, shape: plan.outputShape });
  const mark = b.nodes.length;
  const { rows, mean } = loss.of(b, output, batch.labels, batch.weights);
  const tail = b.nodes.slice(mark).map((node) => ({ node, source: node }));
  return {
    placed: { ...placed, nodes: [...placed.nodes, ...tail] },
    parameters,
    output,
    rows,
    mean,
  };
}

/** One update: forward, backward, optimizer. */
export function update(b: Builder, plan: Plan, batch: Batch, state: State): Updated {
  const { moved } = plan.pieces;
  const touched = moved.map((piece, i) => touchedRows(b, plan, piece, batch, i));
  const pick = (value: Value, i: number): Value =>
    touched[i] === undefined ? value : rowsAt(b, value, touched[i].rows.list);
  const seen = { ...batch, parameters: batch.parameters.map(pick) };
  const { gradients, loss, buffers, norms } =
    plan.clipping === undefined
      ? meanGradient(b, plan, { ...seen, key: state.numbers['random_key'] }, touched)
      : privateGradient(b, plan, seen, state);
  const contexts = moved.map((piece, i): UpdateContext => ({
    b,
    numbers: state.numbers,
    vectors: state.vectors[i] ?? {},
    parameters: flatOf(b, seen.parameters[i]!),
    slots: state.slots[i]!.map((slot) => flatOf(b, pick(slot, i))),
    gradient: gradients[i]!,
    sizes: piece.parameters.map(({ count }) => count),
  }));
  const shaped = plan.optimizer.gradients?.(contexts) ?? gradients;
  const next = contexts.map((c, i) => plan.optimizer.update({ ...c, gradient: shaped[i]! }));
  const put = (before: Value, after: Value, i: number): Value =>
    touched[i] === undefined ? after : withRows(b, before, touched[i].rows.list, after);
  return {
    parameters: [
      ...next.map(({ parameters }, i) => put(batch.parameters[i]!, parameters, i)),
      ...buffers,
    ],
    slots: next.map(({ slots }, i) => slots.map((slot, k) => put(state.slots[i]![k]!, slot, i))),
    gradients: gradients.map((gradient, i) =>
      spread(b, gradient, touched[i], batch.parameters[i]!),
    ),
    loss,
    norms,
  };
}

/** The open rows of a piece that the batch looks up; undefined for a piece that is no embedding. */
function touchedRows(b: Builder, plan: Plan, piece: Piece, batch: Batch, i: number) {
  const { embedding } = piece;
  const places = embedding && batch.places?.get(embedding.name);
  if (embedding === undefined || places === undefined) return undefined;
  const numbers = rowNumbers(b, embedding, batch.inputs, (name) => constantIn(plan, name));
  const open = b.op('Gather', [places, numbers], { axis: 0 });
  const bound = b.op('Shape', [batch.parameters[i]], { start: 0, end: 1 });
  return { rows: numbered(b, open, bound), places };
}

/** A constant of the training graph that is no weight. */
export function constantIn({ model, training }: Plan, name: string) {
  if (model.parameters.some((parameter) => parameter.name === name)) return undefined;
  return model.constants.get(name) ?? training.initializers.get(name);
}

/** The gradient of all open rows, of which `touched` have one. */
function spread(b: Builder, gradient: Value, touched: Touched | undefined, open: Value): Value {
  if (touched === undefined) return gradient;
  const zeros = b.op('Expand', [b.scalar(0), b.op('Shape', [open])]);
  return withRows(
    b,
    b.adopt({ ...open, ...zeros, shape: open.shape }),
    touched.rows.list,
    gradient,
  );
}

interface Found {
  /** By moved piece, flat. */
  readonly gradients: readonly Value[];
  readonly loss: Value;
  /** Running statistics after the batch as one vector; none where the model has none. */
  readonly buffers: readonly Value[];
  /** L2 norms of the examples' gradients, [rows]; there where gradients are clipped. */
  readonly norms?: Value;
}

/** The gradient of the batch's mean loss. */
function meanGradient(
  b: Builder,
  plan: Plan,
  batch: Batch,
  touched: readonly (Touched | undefined)[],
): Found {
  const { placed, parameters, mean } = forward(b, plan, plan.training, batch, touched);
  const moved = parameters.slice(0, movedParameters(plan.model.parameters).length);
  const sources = moved.map(({ name }) => name);
  const path = gradientPath(b, placed, sources, [mean.name]);
  const found = [...differentiate(b, path, new Map([[mean.name, b.scalar(1)]]), moved)];
  const gradients = plan.pieces.moved.map((piece) =>
    joined(b, found.splice(0, piece.parameters.length)),
  );
  return { gradients, loss: mean, buffers: nextBuffers(b, plan, parameters, placed.values) };
}

/** Σ clip(∇ᵢ) and noise, over the lot size; models with running statistics do not come here. */
function privateGradient(b: Builder, plan: Plan, batch: Batch, state: State): Found {
  const { clip, lotSize } = privacyInputs(b, state.hyper);
  const { sum, norms, loss } = clippedGradients({ b, plan, batch, clip, run: forward });
  return { gradients: [noised(b, sum, state.noise!, lotSize)], loss, norms, buffers: [] };
}

/** Running statistics after the batch, as the last piece holds them. */
function nextBuffers(
  b: Builder,
  { model, pieces }: Plan,
  parameters: readonly Value[],
  values: ReadonlyMap<string, Value>,
): readonly Value[] {
  if (pieces.buffers === undefined) return [];
  const updates = bufferUpdates(model.graph);
  const next = model.parameters.flatMap(({ name, role }, i) =>
    role === 'buffer' ? [values.get(updates.get(name) ?? '') ?? parameters[i]!] : [],
  );
  return [joined(b, next)];
}
