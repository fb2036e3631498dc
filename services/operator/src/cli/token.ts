import type { Command } from 'commander';
import { printable, sha256, table, timestamp, utf8 } from '@medley/kit';
import { withAdmin } from '../connection.ts';
import { homeOf, type CommandContext, type SharedOptions } from '../context.ts';
import { command, wholeNumber, wordList } from './command.ts';

const DAY_MS = 86_400_000;

/** `medley token …`: API tokens for programs. */
export function tokenCommands(program: Command, context: CommandContext): void {
  const token = program.command('token').description('API tokens for programs');
  create(token, context);
  list(token, context);
  revoke(token, context);
}

interface CreateOptions extends SharedOptions {
  readonly label: string;
  readonly scopes: string[];
  readonly days: number;
}

function create(token: Command, context: CommandContext): void {
  command(token, 'create', 'make a token of your own account')
    .requiredOption('--label <text>', 'what it is for')
    .requiredOption('--scopes <list>', 'read, studies, models, invitations', wordList)
    .option('--days <n>', 'how long it is good', wholeNumber(1, 366), 30)
    .addHelpText(
      'after',
      `
The token is printed once and stored nowhere; the aggregator keeps its hash. It is worth its scopes
within your roles, never an approval, and goes as "authorization: Bearer …" with calls to the listener
api of the aggregator, where aggregator.yaml names one.

  medley token create --label "nightly report" --scopes read --days 90
`,
    )
    .action(async (options: CreateOptions) => {
      const home = await homeOf(context, options);
      const { label, scopes, days } = options;
      const id = textOf(context.rng.bytes(8));
      const secret = textOf(context.rng.bytes(24));
      const expiresMs = context.clock.nowMs() + days * DAY_MS;
      const order = { id, secretHash: tokenHash(secret), label, scopes };
      await withAdmin(home, (admin) =>
        admin.createToken({ ...order, expiresMs: String(expiresMs) }, context),
      );
      const text = `mt_v1.${id}.${secret}`;
      const terminal = context.terminal(options.json);
      terminal.say('Keep this as a secret; it is not shown again:');
      terminal.result({ id, token: text, scopes, expires: timestamp(expiresMs) }, text);
    });
}

function list(token: Command, context: CommandContext): void {
  command(token, 'list', 'show every token, its owner and scopes')
    .addHelpText('after', '\nNeeds the role admin or auditor.\n\n  medley token list\n')
    .action(async (options: SharedOptions) => {
      const home = await homeOf(context, options);
      const { tokens } = await withAdmin(home, (admin) => admin.listTokens({}, context));
      const nowMs = context.clock.nowMs();
      const rows = tokens.map((one) => [
        one.id,
        one.operator,
        one.label,
        one.scopes.join(', '),
        one.revokedMs !== '0' ? 'revoked' : Number(one.expiresMs) <= nowMs ? 'expired' : 'good',
        timestamp(Number(one.expiresMs)),
      ]);
      const head = ['TOKEN', 'OPERATOR', 'FOR', 'SCOPES', 'STATE', 'UNTIL'];
      const text = rows.length === 0 ? 'No token yet.' : table([head, ...rows]);
      context.terminal(options.json).result({ tokens }, printable(text));
    });
}

function revoke(token: Command, context: CommandContext): void {
  command(token, 'revoke <id>', 'end a token: your own, or any for an administrator')
    .addHelpText('after', '\n  medley token revoke 3q2-7wAAAAA\n')
    .action(async (id: string, options: SharedOptions) => {
      const home = await homeOf(context, options);
      await withAdmin(home, (admin) => admin.revokeToken({ id }, context));
      context.terminal(options.json).result({ id, state: 'revoked' }, `token ${id} is revoked`);
    });
}

/** As the aggregator stores it (accounts/tokens.ts). */
function tokenHash(secret: string): Uint8Array {
  return sha256(utf8('medley/token/v1\n'), utf8(secret));
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
