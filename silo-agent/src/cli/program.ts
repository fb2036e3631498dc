import { Command } from 'commander';
import { baselineCommand } from './baseline.ts';
import { budgetCommand } from './budget.ts';
import { evaluateCommand } from './evaluate.ts';
import type { CommandContext } from './context.ts';
import { dataCommands } from './data.ts';
import { enrollCommand } from './enroll.ts';
import { initCommand } from './init.ts';
import { runCommand } from './run.ts';
import { statusCommand } from './status.ts';
import { studyCommands } from './study.ts';
import { witnessCommands } from './witness.ts';

/** The whole command line of the agent. `setExit` takes an exit code that is no error's. */
export function agentProgram(context: CommandContext, setExit: (code: number) => void): Command {
  const program = new Command('medley-agent')
    .description("A hospital's agent: trains on its own data, so that no row ever leaves.")
    .version(context.version)
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      `
From nothing to taking part:
  medley-agent init --site ID --name NAME   a folder with a commented agent.yaml
  medley-agent data check                   are the data found and well-formed?
  medley-agent enroll TOKEN                 keys made here, six words read out by telephone
  medley-agent study show ID                what a study would do, before anyone says yes
  medley-agent study sign ID --as NAME      the data steward decides
  medley-agent run                          takes part until stopped; dials out only
  medley-agent witness show                 what was seen of the consortium's audit log
  medley-agent budget                       what patients' privacy has cost so far, and what is left

Exit codes: 0 ok, 2 usage, 3 configuration, 4 network, 5 identity, 6 data, 7 refused by policy,
8 integrity, 9 version, 75 try again later, 130 interrupted. Results go to standard output, words for
people to standard error; --json makes the result one JSON document. NO_COLOR is respected.
`,
    );
  initCommand(program, context);
  enrollCommand(program, context);
  dataCommands(program, context, setExit);
  const study = studyCommands(program, context);
  evaluateCommand(study, context);
  baselineCommand(study, context);
  runCommand(program, context, setExit);
  statusCommand(program, context);
  budgetCommand(program, context, setExit);
  witnessCommands(program, context);
  for (const command of [
    program,
    ...program.commands,
    ...program.commands.flatMap((one) => one.commands),
  ]) {
    command.exitOverride();
  }
  return program;
}
