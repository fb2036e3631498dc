import { resolve } from 'node:path';
import type { Command } from 'commander';
import { MedleyError, readText, timestamp, writeDurably } from '@medley/kit';
import {
  certificateKey,
  certifyRenewal,
  hostsOf,
  issueCertificate,
  leafOf,
  readAuthorities,
  readCertificate,
  readIssuer,
} from '@medley/pki';
import { openHomeAuthority, readPassphrase } from '../authority.ts';
import { RENEWAL_DAYS, SERVER_DAYS } from '../consortium.ts';
import { homeOf, type CommandContext, type SharedOptions } from '../context.ts';
import { command, wholeNumber } from './command.ts';

interface Options extends SharedOptions {
  readonly passphraseFile?: string;
  readonly days: number;
}

/** `medley consortium renewals` and `certify`: certificates that people renew. */
export function renewalCommands(consortium: Command, context: CommandContext): void {
  renewals(consortium, context);
  certify(consortium, context);
}

function renewals(consortium: Command, context: CommandContext): void {
  command(consortium, 'renewals', "prolong the aggregator's renewal authority")
    .option('--certificate <file>', 'its certificate', '.medley/aggregator/renewal.pem')
    .option('--days <n>', 'validity', wholeNumber(1, 366), RENEWAL_DAYS)
    .option('--passphrase-file <file>', "file with the authority key's passphrase")
    .addHelpText(
      'after',
      `
The aggregator renews certificates of enrolled hospitals with an authority of its own, which can issue
for hospitals and nothing else and lasts ${String(RENEWAL_DAYS)} days. This writes its certificate anew, for the same key.
Where the aggregator runs elsewhere, name a copy of its renewal.pem and put it back; it is read anew for
every renewal, without a restart.

  medley consortium renewals --passphrase-file ca.pass
`,
    )
    .action(async (options: Options & { readonly certificate: string }) => {
      const home = await homeOf(context, options);
      const file = resolve(context.cwd, options.certificate);
      const before = readIssuer(await readText(file));
      if (!before.isRenewal || before.consortium !== home.config.consortium) {
        throw new MedleyError('PKI_AUTHORITY_INVALID', `${file} is no renewal authority of ours`);
      }
      const passphrase = await readPassphrase(context, options.passphraseFile);
      const certificatePem = certifyRenewal({
        authority: await openHomeAuthority(home, passphrase),
        publicKeyPem: certificateKey(before.pem),
        nowMs: context.clock.nowMs(),
        days: options.days,
        rng: context.rng,
      });
      await writeDurably(file, certificatePem, { mode: 0o644 });
      const expires = timestamp(readIssuer(certificatePem).notAfterMs);
      context
        .terminal(options.json)
        .result({ file, expires }, `${file}: certificates are renewed until ${expires}`);
    });
}

function certify(consortium: Command, context: CommandContext): void {
  command(consortium, 'certify <file>', "renew a server's or an operator's certificate")
    .option('--days <n>', 'validity', wholeNumber(1, 3650), SERVER_DAYS)
    .option('--passphrase-file <file>', "file with the authority key's passphrase")
    .addHelpText(
      'after',
      `
Writes the certificate in the file anew, for the same name, hosts and key, with the authorities behind
it for a server. Restart the server afterwards. For an operator whose account names one certificate:
medley operator change NAME --certificate FILE.

  medley consortium certify .medley/aggregator/tls.pem --passphrase-file ca.pass
  medley consortium certify .medley/audit/tls.pem --passphrase-file ca.pass
  medley consortium certify .medley/operator/operator.pem --passphrase-file ca.pass
`,
    )
    .action(async (path: string, options: Options) => {
      const home = await homeOf(context, options);
      const file = resolve(context.cwd, path);
      const leaf = leafOf(await readText(file));
      const { subject } = readCertificate(leaf);
      if (subject.role === 'silo') {
        throw new MedleyError('USAGE', 'a hospital renews its certificate itself');
      }
      const passphrase = await readPassphrase(context, options.passphraseFile);
      const issued = issueCertificate({
        authority: await openHomeAuthority(home, passphrase),
        publicKeyPem: certificateKey(leaf),
        subject,
        ...hostsOf(leaf),
        nowMs: context.clock.nowMs(),
        days: options.days,
        rng: context.rng,
      });
      const behind = subject.role === 'operator' ? '' : (readAuthorities(home.caPem)[0]?.pem ?? '');
      await writeDurably(file, issued.certificatePem + behind, { mode: 0o644 });
      const expires = timestamp(issued.notAfterMs);
      const { serial } = issued;
      context
        .terminal(options.json)
        .result({ file, ...subject, serial, expires }, `${file}: good until ${expires}`);
    });
}
