import type { onnx } from '../generated/onnx.js';

const SIGNATURE = 'pkg.torch.export.ExportedProgram.graph_signature';
const FOLDED_FROM = 'pkg.onnxscript.optimizer.folded_from';

/**
 * What PyTorch's exporter (2.5 and later) tells of the tensors of a model: which names in the code are
 * parameters, and what a tensor was made of that the exporter computed and stored in place of its parts.
 */
export interface Origins {
  /** Names of tensors in the code. */
  readonly parameters: ReadonlySet<string>;
  readonly buffers: ReadonlySet<string>;
  /** By the name of a tensor in the file: everything that went into it, parameters and values in between. */
  readonly madeOf: ReadonlyMap<string, readonly string[]>;
}

/** Undefined for other exporters, and for files whose metadata was stripped. */
export function originsOf(proto: onnx.IGraphProto): Origins | undefined {
  const signature = proto.metadataProps?.find(({ key }) => key === SIGNATURE)?.value;
  if (!signature) return undefined;
  const named = (kind: string): ReadonlySet<string> => {
    const pattern = new RegExp(`^\\w+: ${kind} target='([^'\\n]*)'`, 'gm');
    return new Set([...signature.matchAll(pattern)].map(([, target]) => target!));
  };
  const madeOf = new Map<string, readonly string[]>();
  for (const { name, metadataProps } of [
    ...(proto.valueInfo ?? []),
    ...(proto.initializer ?? []),
  ]) {
    const made = metadataProps?.find(({ key }) => key === FOLDED_FROM)?.value;
    if (made)
      madeOf.set(
        name ?? '',
        [...made.matchAll(/'([^']*)'/g)].map(([, part]) => part!),
      );
  }
  return { parameters: named('PARAMETER'), buffers: named('BUFFER'), madeOf };
}

/** Parameters of the code that a tensor of the file is, or was made of. */
export function parametersIn({ parameters, madeOf }: Origins, name: string): readonly string[] {
  return (madeOf.get(name) ?? [name]).filter((part) => parameters.has(part));
}
