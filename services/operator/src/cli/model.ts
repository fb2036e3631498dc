import { resolve } from 'node:path';
import type { Command } from 'commander';
import { exportModel } from '@medley/autodiff';
import { writeDurably } from '@medley/kit';
import type { GetModelReply__Output } from '@medley/rpc';
import { decodeModelState, encodedColumns, modelStateHash, readStudy } from '@medley/study';
import { fetchBlob } from '../blob.ts';
import { withAdmin } from '../connection.ts';
import { homeOf, type CommandContext, type SharedOptions } from '../context.ts';
import { command } from './command.ts';

/** `medley model …`: what comes out of a study. */
export function modelCommands(program: Command, context: CommandContext): void {
  const model = program.command('model').description('take trained models out');
  command(model, 'export <study>', 'write the trained model as ONNX')
    .requiredOption('--out <file>', 'where to write it')
    .addHelpText(
      'after',
      `
The file opens in stock ONNX Runtime. Standardisation is part of the graph: its input takes the
columns as the study file encodes them, in the order that its metadata list under medley.columns.
Its metadata also name study, charter, round and the hash of the model state, which the audit trail
has. The export is an entry of the audit trail.

  medley model export recurrence-5y --out model.onnx
`,
    )
    .action(async (study: string, options: SharedOptions & { readonly out: string }) => {
      const { signal } = context;
      const home = await homeOf(context, options);
      const file = resolve(context.cwd, options.out);
      const { bytes, summary } = await withAdmin(home, async (admin) => {
        const reply = await admin.getModel({ study }, { signal });
        const state = await fetchBlob(admin, reply.state, signal);
        const forward = await fetchBlob(admin, reply.onnx, signal);
        return trainedModel(forward, state, reply);
      });
      await writeDurably(file, bytes, { mode: 0o644 });
      const { parameters, round } = summary;
      context
        .terminal(options.json)
        .result({ ...summary, file }, `${file}: ${parameters} parameters after round ${round}`);
    });
}

/** What `--json` says of an export. */
interface ExportSummary {
  readonly study: string;
  readonly round: number;
  readonly parameters: number;
  readonly modelHash: string;
}

/** The forward graph with the trained weights, its standardisation and where it comes from. */
function trainedModel(
  forward: Uint8Array,
  stateBytes: Uint8Array,
  { studyFile, round, charterHash }: GetModelReply__Output,
): { readonly bytes: Uint8Array; readonly summary: ExportSummary } {
  const { parameters, standardisation } = decodeModelState(stateBytes);
  const study = readStudy(studyFile, 'study.yaml');
  const modelHash = modelStateHash(stateBytes);
  const columns = encodedColumns(study).map(({ name }) => name);
  const bytes = exportModel(forward, parameters, {
    ...(standardisation && {
      standardise: {
        input: study.model.input,
        mean: Float32Array.from(standardisation.mean),
        scale: Float32Array.from(standardisation.scale),
      },
    }),
    metadata: {
      'medley.study': study.name,
      'medley.title': study.title,
      'medley.charter': charterHash,
      'medley.round': String(round),
      'medley.state': modelHash,
      'medley.columns': JSON.stringify(columns),
    },
  });
  return { bytes, summary: { study: study.name, round, parameters: parameters.length, modelHash } };
}
