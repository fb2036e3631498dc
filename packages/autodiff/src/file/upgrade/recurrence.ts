import { graphOf, intOf, intsOf, type Graph, type Node, type Value } from '../../graph/graph.ts';
import { forEach, refused, without, type Entry, type Rule } from './rewrite.ts';

// Before 7 this told whether the first output is wanted, which its name tells as well.
const outputSequence: Rule = (r) => r.finish({ attributes: without(r.node, 'output_sequence') });

// Scan of operator set 8 ran over a batch at once: a scan over the batch, of which each step is a scan.
const scan: Rule = (r) => {
  const { node } = r;
  if (r.input(0) !== '') throw refused(r, 'lengths of the sequences are not read');
  const body = graphOf(node, 'body');
  const count = intOf(node, 'num_scan_inputs', 0);
  const states = node.inputs.length - 1 - count;
  if (count < 1 || states < 0 || body.inputs.length !== node.inputs.length - 1) {
    throw refused(r, 'its inputs do not fit its body');
  }
  const prefix = `${node.name}/batch`;
  const inputs = body.inputs.map((value, i): Value => ({
    ...value,
    name: `${prefix}/in${i}`,
    shape: i < states || value.shape === undefined ? value.shape : ['?', ...value.shape],
  }));
  const outputs = node.outputs.map((_, i): Value => ({
    name: `${prefix}/out${i}`,
    dtype: body.outputs[i]?.dtype,
    shape: i < states ? body.outputs[i]?.shape : undefined,
  }));
  const inner: Node = {
    op: 'Scan',
    domain: '',
    name: `${prefix}/scan`,
    inputs: inputs.map(({ name }) => name),
    outputs: outputs.map(({ name }) => name),
    attributes: new Map([
      ['body', { kind: 'graph', value: body }],
      ['num_scan_inputs', { kind: 'int', value: count }],
      [
        'scan_input_directions',
        { kind: 'ints', value: intsOf(node, 'directions') ?? zeros(count) },
      ],
    ]),
  };
  const outer: Graph = { name: prefix, inputs, outputs, initializers: new Map(), nodes: [inner] };
  r.finish({
    inputs: node.inputs.slice(1),
    attributes: new Map([
      ['body', { kind: 'graph', value: outer }],
      ['num_scan_inputs', { kind: 'int', value: inputs.length }],
    ]),
  });
};

const zeros = (count: number): readonly number[] => Array.from({ length: count }, () => 0);

/** Recurrent layers and scans. */
export const RECURRENCE: readonly Entry[] = [
  ...forEach(['RNN', 'GRU', 'LSTM'], { before: 7, rule: outputSequence }),
  { op: 'Scan', before: 9, rule: scan },
];
