import { resolve } from 'node:path';
import type { Command } from 'commander';
import { exportModel } from '@medley/autodiff';
import { writeDurably } from '@medley/kit';
import { decodeModelState, encodedColumns, modelStateHash, readStudy } from '@medley/study';
import { fetchBlob } from '../blob.ts';
import { withAdmin } from '../connection.ts';
import type { CommandContext, SharedOptions } from '../context.ts';
import { openHome } from '../home.ts';
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
features as the study file describes them, in that order. Its metadata name study, charter and round.

  medley model export recurrence-5y --out model.onnx
`,
    )
    .action(async (study: string, options: SharedOptions & { out: string }) => {
      const home = await openHome(options.home);
      const out = resolve(context.cwd, options.out);
      const { bytes, summary } = await withAdmin(home, async (admin) => {
        const reply = await admin.getModel({ study });
        const stateBytes = await fetchBlob(admin, reply.state, context.signal);
        const onnx = await fetchBlob(admin, reply.onnx, context.signal);
        return trained(onnx, stateBytes, reply);
      });
      await writeDurably(out, bytes, { mode: 0o644 });
      context
        .terminal(options.json)
        .result(
          { ...summary, file: out },
          `${out}: ${String(summary.parameters)} parameters after round ${String(summary.round)}`,
        );
    });
}

function trained(
  onnx: Uint8Array,
  stateBytes: Uint8Array,
  reply: { readonly studyFile: Uint8Array; readonly round: number; readonly charterHash: string },
): {
  readonly bytes: Uint8Array;
  readonly summary: { study: string; round: number; parameters: number; modelHash: string };
} {
  const state = decodeModelState(stateBytes);
  const study = readStudy(reply.studyFile, 'study.yaml');
  const modelHash = modelStateHash(stateBytes);
  const { standardisation } = state;
  const columns = encodedColumns(study).map(({ name }) => name);
  const bytes = exportModel(onnx, state.parameters, {
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
      'medley.charter': reply.charterHash,
      'medley.round': String(reply.round),
      'medley.state': modelHash,
      'medley.columns': JSON.stringify(columns),
    },
  });
  const parameters = state.parameters.length;
  return { bytes, summary: { study: study.name, round: reply.round, parameters, modelHash } };
}
