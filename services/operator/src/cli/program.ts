import { Command } from 'commander';
import type { TerminalStreams } from '@medley/kit';
import type { CommandContext } from '../context.ts';
import { auditCommands } from './audit.ts';
import { consortiumCommands } from './consortium.ts';
import { operatorCommands } from './operator.ts';
import { modelCommands } from './model.ts';
import { roundCommands } from './round.ts';
import { siloCommands } from './silo.ts';
import { tokenCommands } from './token.ts';
import { studyCommands } from './study.ts';

/** The whole command line of the operator. It never ends the process: faults of usage are thrown. */
export function operatorProgram(
  context: CommandContext,
  {
    stdout,
    stderr,
    version,
  }: Pick<TerminalStreams, 'stdout' | 'stderr'> & { readonly version: string },
): Command {
  // Before the commands are added: they take these settings over.
  const program = new Command('medley')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
    })
    .showSuggestionAfterError()
    .description('Operate a Medley consortium: hospitals, studies, models and the audit trail.')
    .version(version)
    .addHelpText(
      'after',
      `
From nothing to a trained model:
  medley consortium init NAME      an authority, a server, an operator's certificate
  medley silo invite NAME          a token for each hospital
  medley silo approve NAME …       after comparing six words by telephone; two operators do
  medley study propose FOLDER      study.yaml and model.onnx; every hospital signs
  medley study start NAME          rounds begin
  medley study status NAME --watch
  medley model export NAME --out model.onnx
  medley audit verify              check every entry, proof and signature

Exit codes: 0 ok, 2 usage, 3 configuration, 4 network, 5 identity, 6 data, 7 refused by policy,
8 integrity, 9 version, 75 try again later, 130 interrupted; 1 is a fault of the program. Results go
to standard output, words for people to standard error; --json makes the result one JSON document.
`,
    );
  consortiumCommands(program, context);
  siloCommands(program, context);
  operatorCommands(program, context);
  tokenCommands(program, context);
  studyCommands(program, context);
  roundCommands(program, context);
  modelCommands(program, context);
  auditCommands(program, context);
  return program;
}
