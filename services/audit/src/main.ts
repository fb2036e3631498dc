import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { Command } from 'commander';
import { createLogger, createTerminal, readText, writeDurably } from '@medley/kit';
import { createAuditService } from './app.ts';
import { readAuditConfig } from './config.ts';
import { openLogStore } from './store/sqlite.ts';

const { version } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string };

const program = new Command('medley-audit')
  .description('Serve the transparency log read-only to operators, hospitals and auditors.')
  .version(version);

program
  .command('serve')
  .description("open the aggregator's store read-only and answer until SIGTERM")
  .requiredOption('--config <file>', 'audit.yaml, as `medley consortium init` writes it')
  .addHelpText(
    'after',
    `
Answers are proofs: entries, checkpoints, inclusion and consistency. The service cannot write the
log, and needs no key of it.

  medley-audit serve --config audit/audit.yaml
`,
  )
  .action(async ({ config: file }: { config: string }) => {
    const config = await readAuditConfig(file);
    const logger = createLogger('medley-audit', config.logLevel);
    const store = await openLogStore(config.database);
    const [keyPem, certChainPem, caPem] = await Promise.all(
      [config.tls.key, config.tls.certificate, config.tls.ca].map(async (path) => readText(path)),
    );
    const server = await createAuditService({
      store,
      address: config.listen,
      tls: { keyPem: keyPem ?? '', certChainPem: certChainPem ?? '', caPem: caPem ?? '' },
      logger,
    });
    const endpoints = { address: server.address, pid: process.pid };
    await writeDurably(config.endpointsFile, `${JSON.stringify(endpoints)}\n`);
    logger.info('listening', { address: server.address });
    await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
    logger.info('stopping');
    await server.close();
    store.close();
  });

try {
  await program.parseAsync();
} catch (error) {
  const { stdout, stderr, env } = process;
  process.exitCode = createTerminal({ stdout, stderr, env, json: false }).fail(error);
}
