import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { printable, writeDurably } from '@medley/kit';
import { REVOCATION_REASONS } from '@medley/pki';
import {
  holdsAuthority,
  openHomeAuthority,
  PASSPHRASE_VARIABLE,
  readPassphrase,
} from '../authority.ts';
import { withAdmin, withDoor } from '../connection.ts';
import { homeOf, type CommandContext, type SharedOptions } from '../context.ts';
import { publishList } from '../revocationList.ts';
import { command } from './command.ts';

interface RevokeOptions extends SharedOptions {
  readonly reason: string;
  readonly note: string;
  readonly passphraseFile?: string;
}

/** `medley silo revoke` and `medley silo crl`. */
export function revocationCommands(silo: Command, context: CommandContext): void {
  revoke(silo, context);
  crl(silo, context);
}

function revoke(silo: Command, context: CommandContext): void {
  command(silo, 'revoke <name>', 'take a hospital out of the consortium, at once')
    .addOption(
      new Option('--reason <reason>', 'as in RFC 5280 section 5.3.1')
        .choices(REVOCATION_REASONS)
        .makeOptionMandatory(),
    )
    .option('--note <text>', 'for people; kept in the audit trail', '')
    .option('--passphrase-file <file>', "file with the authority key's passphrase, for the list")
    .addHelpText(
      'after',
      `
From the next moment on the aggregator takes no call with any certificate of the hospital, ends the
calls that are open, and goes on with open rounds as after a drop-out. Its identity key never enrols
again; to come back it needs new keys, a new invitation and new charters. Where this home holds the
authority's key and its passphrase is named, the revocation list is signed and published, too.

  medley silo revoke charite --reason keyCompromise --note "laptop stolen" --passphrase-file ca.pass
`,
    )
    .action(async (name: string, options: RevokeOptions) => {
      const home = await homeOf(context, options);
      const { reason, note, passphraseFile } = options;
      const serials = await withAdmin(home, async (admin) => {
        const reply = await admin.revokeSilo({ silo: name, reason, note }, context);
        return reply.serials;
      });
      const terminal = context.terminal(options.json);
      const isNamed = passphraseFile ?? context.env[PASSPHRASE_VARIABLE];
      const mayPublish = isNamed !== undefined && (await holdsAuthority(home));
      if (mayPublish) {
        const passphrase = await readPassphrase(context, passphraseFile);
        const authority = await openHomeAuthority(home, passphrase);
        await withAdmin(home, (admin) => publishList(admin, authority, context));
      }
      terminal.result(
        { silo: name, serials, listPublished: mayPublish },
        printable(`${name} is revoked; ${String(serials.length)} certificates are no longer good`),
      );
      if (!mayPublish) terminal.say('Publish the revocation list with: medley silo crl');
    });
}

interface CrlOptions extends SharedOptions {
  readonly out?: string;
  readonly passphraseFile?: string;
}

function crl(silo: Command, context: CommandContext): void {
  command(silo, 'crl', 'sign and publish the revocation list')
    .option('--out <file>', 'also keep every list in force there, PEM')
    .option('--passphrase-file <file>', "file with the authority key's passphrase")
    .addHelpText(
      'after',
      `
The aggregator itself looks every certificate up and needs no list. Lists are for others who check
certificates: one of the authority, signed here and good for 30 days, one of the renewal authority,
signed by the aggregator whenever it is asked for. Both are X.509 lists in PEM:

  medley silo crl --out crl.pem --passphrase-file ca.pass
  openssl crl -in crl.pem -noout -text
`,
    )
    .action(async (options: CrlOptions) => {
      const home = await homeOf(context, options);
      const passphrase = await readPassphrase(context, options.passphraseFile);
      const authority = await openHomeAuthority(home, passphrase);
      const count = await withAdmin(home, (admin) => publishList(admin, authority, context));
      const file = options.out && resolve(context.cwd, options.out);
      if (file) {
        const { crlPem } = await withDoor(home, (door) => door.getRevocations({}, context));
        await writeDurably(file, crlPem.join(''), { mode: 0o644 });
      }
      context
        .terminal(options.json)
        .result(
          { revoked: count, ...(file && { file }) },
          `the list of ${String(count)} revoked certificates is published`,
        );
    });
}
