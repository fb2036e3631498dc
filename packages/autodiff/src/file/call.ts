import type { onnx } from '../generated/onnx.js';
import type { Call } from '../graph/graph.ts';

const CALL = 'pkg.torch.onnx.fx_node';
const SCOPES = 'pkg.torch.onnx.name_scopes';

/**
 * The call in the model's code that a node was exported from, as PyTorch's exporter (2.5 and later)
 * writes it into the node's metadata; undefined for other exporters.
 */
export function callOf(proto: Pick<onnx.INodeProto, 'metadataProps'>): Call | undefined {
  const entries = proto.metadataProps ?? [];
  const text = entries.find(({ key }) => key === CALL)?.value;
  if (text === undefined || text === null) return undefined;
  const scopes = [
    ...(entries.find(({ key }) => key === SCOPES)?.value ?? '').matchAll(/'([^']*)'/g),
  ];
  const named = (kind: string): readonly string[] => [
    ...new Set([...text.matchAll(new RegExp(`%${kind}_(\\w+)`, 'g'))].map(([, name]) => name!)),
  ];
  return { text, scope: scopes.at(-2)?.[1] ?? '', parameters: named('p'), buffers: named('b') };
}
