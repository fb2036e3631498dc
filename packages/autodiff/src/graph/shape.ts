/** A size: known, or a symbol; equal symbols are equal sizes. Symbols that start with `?` are ours. */
export type Dim = number | string;
/** Sizes of a tensor, the slowest axis first; [] is a scalar. */
export type Shape = readonly Dim[];

/** True when every size is a number. */
export function isStatic(shape: Shape): shape is readonly number[] {
  return shape.every((dim) => typeof dim === 'number');
}

/** True when both shapes are certainly the same. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** `[batch, 13]`, for messages. */
export function shapeText(shape: Shape | undefined): string {
  return shape === undefined ? '[unknown]' : `[${shape.join(', ')}]`;
}

/** Product of sizes, or undefined when one is a symbol (unless another is 0). */
export function sizeOf(shape: Shape): number | undefined {
  return isStatic(shape) ? shape.reduce((product, dim) => product * dim, 1) : undefined;
}

/** An axis in [−rank, rank) as one in [0, rank); undefined outside. */
export function axisOf(axis: number, rank: number): number | undefined {
  return axis < -rank || axis >= rank ? undefined : axis < 0 ? axis + rank : axis;
}

/**
 * Shape of an elementwise result under NumPy broadcasting (ONNX Broadcasting.md). A symbol against a
 * number above 1 gives the number, against another symbol a fresh one; undefined when sizes clash.
 */
export function broadcast(shapes: readonly Shape[], fresh: () => string): Shape | undefined {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const out: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    const here = new Set<Dim>();
    for (const shape of shapes) {
      const dim = shape[i - rank + shape.length];
      if (dim !== undefined && dim !== 1) here.add(dim);
    }
    const numbers = [...here].filter((dim) => typeof dim === 'number');
    if (numbers.length > 1) return undefined;
    const [only] = here;
    out.push(here.size === 0 ? 1 : here.size === 1 ? only! : (numbers[0] ?? fresh()));
  }
  return out;
}
