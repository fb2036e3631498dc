import { Command, InvalidArgumentError, Option } from 'commander';

/** What the command line of the demo asks for. */
export interface DemoOptions {
  readonly rounds?: number;
  readonly silosFolder?: string;
  readonly out: string;
  readonly work: string;
  readonly json?: string;
  readonly keep: boolean;
}

/** The demo's command line. */
export function demoCommand(version: string): Command {
  return new Command('npm run demo --')
    .description(
      'Runs a consortium of hospitals on this machine, each as its own process with its own keys and ' +
        'data, trains one model with secure aggregation and compares it with local and pooled training.',
    )
    .version(version)
    .addOption(
      new Option('--rounds <n>', 'training rounds; as the study file says when left out').argParser(
        wholeNumber,
      ),
    )
    .option('--silos-folder <folder>', 'other hospitals: a folder with sites/, data/ and study/')
    .option('--out <folder>', 'where page, model and audit files go', 'demo-report')
    .option('--work <folder>', 'homes, keys and logs of all processes; made anew', '.medley/demo')
    .option('--json <file>', 'also write all figures as JSON')
    .option('--keep', 'leave the consortium running and print how to talk to it', false)
    .addHelpText(
      'after',
      `
Examples:
  npm run demo
  npm run demo -- --rounds 10 --json figures.json
  npm run demo -- --keep

Figures in the JSON file (schemaVersion 1; AUC and Brier are fractions, bytes are protocol messages):
  silos[]   name, title, train, test (patients), auc {local, federated, pooled}, brier
  mean      auc {local, federated, pooled}, brier: plain means over the silos
  rounds[]  round, kind, attempt, seconds, bytesUp, bytesDown, sharers, survivors, dropped,
            steps[] {step, atMs}, auc, loss (of the model that the round started from)
  dropout   silo, killedInRound, restartedInRound, backInRound; null when nobody was killed
  aggregatorSaw  maskedVectors, words, chiSquare (255 degrees of freedom), sample (hex)
  audit     verified, entries, checkpoints, claims[] {name, ok, checked}
  model     file, parameters
  seconds   wall time of the demo, install excluded
`,
    );
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1 || value > 10_000) {
    throw new InvalidArgumentError('It must be a whole number from 1 to 10000.');
  }
  return value;
}
