import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { Command, CommanderError } from 'commander';
import { createLogger, createTerminal, EXIT, writeDurably } from '@medley/kit';
import { createAuditService, publicAddress, readServerTls } from './app.ts';
import { readAuditConfig } from './config.ts';
import { openLogStore } from './store/sqlite.ts';

tls.DEFAULT_MIN_VERSION = 'TLSv1.3';
// Readers of a database in WAL mode may have to make its shared memory file.
process.umask(0o077);

const { version } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string };

const program = new Command('medley-audit')
  .description('Serve the transparency log read-only to operators and hospitals.')
  .version(version)
  .showSuggestionAfterError()
  .exitOverride();

program
  .command('serve')
  .description("open the aggregator's store read-only and answer until SIGTERM")
  .requiredOption('--config <file>', 'audit.yaml, as `medley consortium init` writes it')
  .addHelpText(
    'after',
    `
Answers are entries, checkpoints and proofs, so nothing need be believed. The service needs no key of
the log and has no way to write it. It reads the aggregator's file: run it on the same machine, as a
user who may read and write that folder (SQLite's readers keep their place in a file beside it).

  medley-audit serve --config .medley/audit/audit.yaml
`,
  )
  .action(async ({ config: file }: { config: string }) => {
    const stopped = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
    const config = await readAuditConfig(file);
    const logger = createLogger('medley-audit', config.logLevel);
    // Paths and addresses only: secrets stand in files of their own.
    logger.info('configuration', { path: file, detail: JSON.stringify(config) });
    const keys = await readServerTls(config);
    const store = await openLogStore(config.database);
    const server = await createAuditService({ config, tls: keys, store, logger });
    const address = publicAddress(config, server);
    await writeDurably(config.endpointsFile, `${JSON.stringify({ address, pid: process.pid })}\n`);
    logger.info('listening', { address });
    await stopped;
    logger.info('stopping');
    await server.close();
    store.close();
  });

try {
  await program.parseAsync();
} catch (error) {
  const { stdout, stderr, env } = process;
  if (error instanceof CommanderError) {
    // Commander has printed its own words; help and version end with 0.
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else {
    process.exitCode = createTerminal({ stdout, stderr, env, json: false }).fail(error);
  }
}
