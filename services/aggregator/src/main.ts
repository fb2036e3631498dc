import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import tls from 'node:tls';
import { Command, CommanderError } from 'commander';
import { createLogger, createTerminal, EXIT, processTable } from '@medley/kit';
import { readAggregatorConfig } from './config.ts';
import { serve } from './serve.ts';

tls.DEFAULT_MIN_VERSION = 'TLSv1.3';
// The database driver chooses no mode of its own for its files.
process.umask(0o077);

const { version } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string };

const program = new Command('medley-aggregator')
  .description('Run enrolment, studies and rounds of a consortium, and learn only sums.')
  .version(version);

program
  .command('serve')
  .description('go on where the last run stopped, and serve until SIGTERM')
  .requiredOption('--config <file>', 'aggregator.yaml, as `medley consortium init` writes it')
  .addHelpText(
    'after',
    `
Two listeners: enrolment (server TLS, for the first contact of a hospital) and rounds (mutual TLS 1.3,
for enrolled hospitals and operators). Their addresses are written to endpoints.json when they are up.
Killing the process at any point loses nothing that was acknowledged: start it again.

  medley-aggregator serve --config aggregator/aggregator.yaml
`,
  )
  .action(async ({ config: file }: { config: string }) => {
    const stopped = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
    const config = await readAggregatorConfig(file);
    const logger = createLogger('medley-aggregator', config.logLevel);
    // Paths and numbers only: secrets stand in files of their own.
    logger.info('configuration', { path: file, detail: JSON.stringify(config) });
    const threads = availableParallelism();
    await serve({ config, logger, processes: processTable(process), threads, stopped });
  });

for (const command of [program, ...program.commands]) command.exitOverride();

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has printed its own words; help and version end with 0.
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else {
    const { stdout, stderr, env } = process;
    process.exitCode = createTerminal({ stdout, stderr, env, json: false }).fail(error);
  }
}
