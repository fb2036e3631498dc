import { resolve } from 'node:path';
import type { Command } from 'commander';
import { printable, readText, table, timestamp, writeDurably } from '@medley/kit';
import { issueCertificate } from '@medley/pki';
import { acceptAdmittance, requestAccount, type Admittance } from '../account.ts';
import { openHomeAuthority, readPassphrase } from '../authority.ts';
import { withAdmin } from '../connection.ts';
import { SERVER_DAYS } from '../consortium.ts';
import { homeOf, type CommandContext, type SharedOptions } from '../context.ts';
import { aggregatorEndpoints, auditAddress } from '../home.ts';
import { command, wholeNumber, wordList } from './command.ts';

/** `medley operator …`: who may do what. */
export function operatorCommands(program: Command, context: CommandContext): void {
  const operator = program.command('operator').description("operators' accounts and their roles");
  list(operator, context);
  request(operator, context);
  add(operator, context);
  accept(operator, context);
  change(operator, context);
}

function list(operator: Command, context: CommandContext): void {
  command(operator, 'list', 'show every account, its roles and state')
    .addHelpText('after', '\nNeeds the role admin or auditor.\n\n  medley operator list\n')
    .action(async (options: SharedOptions) => {
      const home = await homeOf(context, options);
      const reply = await withAdmin(home, (admin) => admin.listOperators({}, context));
      const rows = reply.operators.map(({ name, roles, state, certificateSerial }) => [
        name,
        state,
        roles.join(', '),
        certificateSerial || 'any of this name',
      ]);
      const lines = [
        table([['OPERATOR', 'STATE', 'ROLES', 'CERTIFICATE'], ...rows]),
        '',
        `It takes ${String(reply.approvalsNeeded)} of them with the role operator to approve a hospital.`,
      ];
      context.terminal(options.json).result({ ...reply }, printable(lines.join('\n')));
    });
}

function request(operator: Command, context: CommandContext): void {
  command(operator, 'request <name>', "make a new operator's key and ask for a certificate")
    .requiredOption('--consortium <name>', 'name of the consortium')
    .requiredOption('--out <file>', 'where to write the request')
    .addHelpText(
      'after',
      `
The new operator runs this on the machine where they will work; the key stays there. The request goes to
an administrator, who answers with a file for medley operator accept.

  medley operator request bob --consortium northsea --out bob.csr.pem --home .medley/bob
`,
    )
    .action(
      async (
        name: string,
        options: SharedOptions & { readonly consortium: string; readonly out: string },
      ) => {
        const folder = resolve(context.cwd, options.home);
        const file = resolve(context.cwd, options.out);
        await writeDurably(file, await requestAccount(folder, options.consortium, name), {
          mode: 0o644,
        });
        context
          .terminal(options.json)
          .result({ operator: name, file }, `${file}: give it to an administrator`);
      },
    );
}

interface AddOptions extends SharedOptions {
  readonly request: string;
  readonly roles: string[];
  readonly out: string;
  readonly days: number;
  readonly passphraseFile?: string;
}

function add(operator: Command, context: CommandContext): void {
  command(operator, 'add <name>', 'make an account and certify its operator')
    .requiredOption('--request <file>', 'what the new operator handed over')
    .requiredOption('--roles <list>', 'viewer, scientist, operator, auditor, admin', wordList)
    .requiredOption('--out <file>', 'where to write the answer for the new operator')
    .option('--days <n>', 'validity of the certificate', wholeNumber(1, 3650), SERVER_DAYS)
    .option('--passphrase-file <file>', "file with the authority key's passphrase")
    .addHelpText(
      'after',
      `
Needs the role admin and the authority's key. Make sure that the request is the new operator's own.

  medley operator add bob --request bob.csr.pem --roles operator --out bob.json
`,
    )
    .action(async (name: string, options: AddOptions) => {
      const home = await homeOf(context, options);
      const passphrase = await readPassphrase(context, options.passphraseFile);
      const { consortium } = home.config;
      const { certificatePem, serial, notAfterMs } = issueCertificate({
        authority: await openHomeAuthority(home, passphrase),
        csrPem: await readText(resolve(context.cwd, options.request)),
        subject: { consortium, role: 'operator', name },
        nowMs: context.clock.nowMs(),
        days: options.days,
        rng: context.rng,
      });
      const { enrolment, rounds } = await aggregatorEndpoints(home);
      const admittance: Admittance = {
        medley: 'operator/v1',
        consortium,
        operator: name,
        certificatePem,
        caPem: home.caPem,
        logVerifierKey: home.logVerifierKey,
        aggregator: { enrolment, rounds },
        audit: { address: await auditAddress(home) },
      };
      const { roles } = options;
      await withAdmin(home, (admin) => admin.addOperator({ name, roles, certificatePem }, context));
      const file = resolve(context.cwd, options.out);
      await writeDurably(file, `${JSON.stringify(admittance, undefined, 2)}\n`, { mode: 0o644 });
      const result = { operator: name, roles, serial, expires: timestamp(notAfterMs), file };
      context.terminal(options.json).result(result, `${name} has an account; give them ${file}`);
    });
}

function accept(operator: Command, context: CommandContext): void {
  command(
    operator,
    'accept <file>',
    "complete a new operator's home with the administrator's answer",
  )
    .addHelpText(
      'after',
      `
Compare the pin that is printed with the administrator by telephone.

  medley operator accept bob.json --home .medley/bob
`,
    )
    .action(async (file: string, options: SharedOptions) => {
      const folder = resolve(context.cwd, options.home);
      const bytes = await readText(resolve(context.cwd, file));
      const { admittance, caPin } = await acceptAdmittance(folder, bytes, context.clock.nowMs());
      const { operator: name, consortium } = admittance;
      context
        .terminal(options.json)
        .result(
          { operator: name, consortium, caPin, home: folder },
          printable(`${name} is an operator of ${consortium}\nauthority pin  ${caPin}`),
        );
    });
}

interface ChangeOptions extends SharedOptions {
  readonly roles?: string[];
  readonly disable: boolean;
  readonly enable: boolean;
  readonly certificate?: string;
}

function change(operator: Command, context: CommandContext): void {
  command(operator, 'change <name>', "change an operator's roles, certificate or state")
    .option('--roles <list>', 'every role from now on', wordList)
    .option('--disable', 'take no call of this operator or its tokens any more', false)
    .option('--enable', 'take them again', false)
    .option('--certificate <file>', 'honour this certificate of the operator, and no other')
    .addHelpText(
      'after',
      `
Takes effect at once; open calls of the operator end. One administrator must remain.

  medley operator change bob --disable
`,
    )
    .action(async (name: string, options: ChangeOptions) => {
      const home = await homeOf(context, options);
      const { roles = [], disable, enable, certificate } = options;
      const certificatePem =
        certificate === undefined ? '' : await readText(resolve(context.cwd, certificate));
      const state = disable ? 'disabled' : enable ? 'active' : '';
      const order = { name, roles, state, certificatePem };
      const reply = await withAdmin(home, (admin) => admin.changeOperator(order, context));
      const { operator: now } = reply;
      context
        .terminal(options.json)
        .result(
          { ...now },
          printable(`${name} is ${now?.state ?? ''}: ${now?.roles.join(', ') ?? ''}`),
        );
    });
}
