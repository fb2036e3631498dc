import { Command, InvalidArgumentError, Option } from 'commander';

/** Differential privacy as `--dp` asks for it. */
export interface PrivacyTarget {
  readonly epsilon: number;
  readonly delta: number;
}

/** What the command line of the demo asks for. */
export interface DemoOptions {
  readonly rounds?: number;
  readonly dp?: PrivacyTarget;
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
    .addOption(
      new Option(
        '--dp <target>',
        'epsilon=4[,delta=1e-5]: train with differential privacy, and once without, for comparison',
      ).argParser(privacyTarget),
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
  npm run demo -- --dp epsilon=4
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
  privacy   null without --dp; unit, adjacency, accountant, limit, delta, planned, spent[] {silo,
            epsilon, siteLimit}, auc {with, without}, leaf {index, statement}
  seconds   wall time of the demo, install excluded
`,
    );
}

function privacyTarget(text: string): PrivacyTarget {
  const number = '(\\d[\\d.]*(?:[eE][+-]?\\d+)?)';
  const [, epsilon, delta = '1e-5'] =
    new RegExp(`^epsilon=${number}(?:,delta=${number})?$`).exec(text) ?? [];
  const target = { epsilon: Number(epsilon), delta: Number(delta) };
  if (!(target.epsilon > 0 && target.epsilon <= 1000 && target.delta > 0 && target.delta < 2e-4)) {
    throw new InvalidArgumentError('It is epsilon=4 or epsilon=4,delta=1e-5, delta below 0.0002.');
  }
  return target;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1 || value > 10_000) {
    throw new InvalidArgumentError('It must be a whole number from 1 to 10000.');
  }
  return value;
}
