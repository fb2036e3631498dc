import { resolve } from 'node:path';
import type { Command } from 'commander';
import { readPassphrase } from '../authority.ts';
import { createConsortium } from '../consortium.ts';
import type { CommandContext, SharedOptions } from '../context.ts';
import { backupCommands } from './backup.ts';
import { command, wholeNumber } from './command.ts';
import { renewalCommands } from './renewals.ts';
import { successionCommand } from './succession.ts';

interface InitOptions extends SharedOptions {
  readonly aggregatorHome: string;
  readonly auditHome: string;
  readonly operator: string;
  readonly host: string;
  readonly enrolmentPort: number;
  readonly roundsPort: number;
  readonly auditPort: number;
  readonly passphraseFile?: string;
  readonly singleOperator: boolean;
  readonly serverPassphraseFile?: string;
}

const port = wholeNumber(0, 65_535);

/** `medley consortium …`: the beginning. */
export function consortiumCommands(program: Command, context: CommandContext): void {
  const consortium = program
    .command('consortium')
    .description('create a consortium and look after it');
  command(consortium, 'init <name>', 'create the authority and the homes of operator and servers')
    .option('--aggregator-home <folder>', 'where the aggregator will live', '.medley/aggregator')
    .option('--audit-home <folder>', 'where the audit service will live', '.medley/audit')
    .option('--operator <name>', 'your name in the audit trail', 'operator')
    .option('--host <name>', 'host name or IP address that hospitals dial', '127.0.0.1')
    .option('--enrolment-port <n>', 'port for first contact; 0 takes a free one', port, 7443)
    .option('--rounds-port <n>', 'port for rounds and operators; 0 takes a free one', port, 7444)
    .option('--audit-port <n>', 'port of the audit service; 0 takes a free one', port, 7445)
    .option('--passphrase-file <file>', "file with the passphrase of the authority's key")
    .option('--server-passphrase-file <file>', "encrypt the servers' keys with this passphrase")
    .option('--single-operator', 'approve hospitals alone; the audit trail says so', false)
    .addHelpText(
      'after',
      `
Makes an RSA-3072 authority whose key stays in the operator's home, encrypted, and one home each for
the two servers, with the certificates they need and configuration to start from. Names are lower-case
letters, digits and hyphens. The passphrase has at least 12 characters; MEDLEY_CA_PASSPHRASE_FILE may
name its file, too. With --server-passphrase-file the servers' keys are encrypted as well and the
servers read that file at their start: keep it elsewhere than the keys and their backups.

It takes two operators to approve a hospital (medley operator add). --single-operator sets approvals: 1
in aggregator.yaml instead, which is an entry of the audit trail that every hospital can read.

  (umask 077; head -c 24 /dev/urandom | base64 > ca.pass)
  medley consortium init northsea --host agg.northsea.example --passphrase-file ca.pass
  medley-aggregator serve --config .medley/aggregator/aggregator.yaml
  medley-audit serve --config .medley/audit/audit.yaml
`,
    )
    .action(async (name: string, options: InitOptions) => init(name, options, context));
  renewalCommands(consortium, context);
  successionCommand(consortium, context);
  backupCommands(consortium, context);
}

async function init(name: string, options: InitOptions, context: CommandContext): Promise<void> {
  const at = (path: string): string => resolve(context.cwd, path);
  const terminal = context.terminal(options.json);
  const passphrase = await readPassphrase(context, options.passphraseFile);
  const serverFile = options.serverPassphraseFile && at(options.serverPassphraseFile);
  const serverKeys = serverFile && {
    passphrase: await readPassphrase(context, serverFile),
    file: serverFile,
  };
  terminal.say('Making five RSA-3072 keys …');
  const made = await createConsortium({
    consortium: name,
    operator: options.operator,
    home: at(options.home),
    aggregatorHome: at(options.aggregatorHome),
    auditHome: at(options.auditHome),
    host: options.host,
    ports: {
      enrolment: options.enrolmentPort,
      rounds: options.roundsPort,
      audit: options.auditPort,
    },
    passphrase,
    approvals: options.singleOperator ? 1 : 2,
    ...(serverKeys && { serverKeys }),
    clock: context.clock,
    rng: context.rng,
  });
  terminal.result(
    made,
    [
      `consortium     ${name}`,
      `authority pin  ${made.caPin}`,
      `log key        ${made.logVerifierKey}`,
    ].join('\n'),
  );
  terminal.say('Next:');
  terminal.say(`  medley-aggregator serve --config ${made.aggregatorConfig}`);
  terminal.say(`  medley-audit serve --config ${made.auditConfig}`);
}
