import type { Command } from 'commander';
import { fromHex, table, timestamp } from '@medley/kit';
import { createInvitation, issueCertificate, spkiPin } from '@medley/pki';
import type { SiloSummary__Output } from '@medley/rpc';
import { checkPending } from '../approval.ts';
import { openHomeAuthority, readPassphrase } from '../authority.ts';
import { withAdmin } from '../connection.ts';
import type { CommandContext, SharedOptions } from '../context.ts';
import { aggregatorEndpoints, openHome } from '../home.ts';
import { command } from './command.ts';

const HOUR_MS = 3_600_000;

/** `medley silo …`: who is in the consortium. */
export function siloCommands(program: Command, context: CommandContext): void {
  const silo = program.command('silo').description('invite, approve and list hospitals');
  invite(silo, context);
  list(silo, context);
  approve(silo, context);
  refuse(silo, context);
}

function invite(silo: Command, context: CommandContext): void {
  command(silo, 'invite <name>', 'make a single-use invitation for a hospital')
    .option('--hours <n>', 'how long the invitation can be used', Number, 72)
    .addHelpText(
      'after',
      `
The token carries addresses, the authority's pin and a single-use secret. Alone it grants nothing:
the keys that come with it wait for \`medley silo approve\`.

  medley silo invite charite
`,
    )
    .action(async (name: string, options: SharedOptions & { hours: number }) => {
      const home = await openHome(options.home);
      const invitation = createInvitation({
        rng: context.rng,
        nowMs: context.clock.nowMs(),
        ttlMs: options.hours * HOUR_MS,
        endpoints: await aggregatorEndpoints(home),
        consortium: home.config.consortium,
        silo: name,
        caPin: spkiPin(home.caPem),
      });
      await withAdmin(home, async (admin) =>
        admin.invite({
          silo: name,
          invitationId: invitation.id,
          secretHash: fromHex(invitation.secretHash) ?? new Uint8Array(),
          expiresMs: String(invitation.expiresAtMs),
        }),
      );
      const terminal = context.terminal(options.json);
      const expires = timestamp(invitation.expiresAtMs);
      terminal.say(`Give this to ${name}; it can be used once, until ${expires}:`);
      terminal.result({ silo: name, token: invitation.token, expires }, invitation.token);
      terminal.say(`There: medley-agent enroll ${terminal.paint.dim('<token>')}`);
    });
}

function list(silo: Command, context: CommandContext): void {
  command(silo, 'list', 'show every hospital and its state').action(
    async (options: SharedOptions) => {
      const home = await openHome(options.home);
      const { silos } = await withAdmin(home, async (admin) => admin.listSilos({}));
      const rows = silos.map(describe);
      const head = ['SILO', 'STATE', 'FINGERPRINT', 'CERTIFICATE UNTIL', 'LAST SEEN'];
      const cells = rows.map((row) => [
        row.silo,
        row.attending ? `${row.state}, attending` : row.state,
        row.fingerprint || '–',
        row.certificateExpires ?? '–',
        row.lastSeen ?? 'never',
      ]);
      const empty = 'No hospital yet. Begin with: medley silo invite NAME';
      context
        .terminal(options.json)
        .result({ silos: rows }, rows.length === 0 ? empty : table([head, ...cells]));
    },
  );
}

function approve(silo: Command, context: CommandContext): void {
  command(silo, 'approve <name>', 'certify a hospital whose fingerprint you have compared')
    .requiredOption('--fingerprint <words>', 'the six words that the hospital read out to you')
    .option('--passphrase-file <file>', "file with the authority key's passphrase")
    .option('--days <n>', 'validity of the certificate', Number, 7)
    .addHelpText(
      'after',
      `
Call the hospital at a number you already had and let them read the six words on their screen.
The certificate is signed here: the authority's key never leaves this machine.

  medley silo approve charite --fingerprint "bado-kelu mina-tora …"
`,
    )
    .action(
      async (
        name: string,
        options: SharedOptions & { fingerprint: string; passphraseFile?: string; days: number },
      ) => {
        const home = await openHome(options.home);
        const passphrase = await readPassphrase(options.passphraseFile, context.env);
        const issued = await withAdmin(home, async (admin) => {
          const pending = await admin.getEnrolment({ silo: name });
          checkPending(pending, name, options.fingerprint);
          const certificate = issueCertificate({
            authority: await openHomeAuthority(home, passphrase),
            csrPem: pending.csrPem,
            subject: { consortium: home.config.consortium, role: 'silo', name },
            nowMs: context.clock.nowMs(),
            days: options.days,
            rng: context.rng,
          });
          const { certificatePem } = certificate;
          await admin.approveSilo({ requestId: pending.requestId, certificatePem });
          return certificate;
        });
        const until = timestamp(issued.notAfterMs);
        context
          .terminal(options.json)
          .result(
            { silo: name, serial: issued.serial, expires: until },
            `${name} is enrolled; its certificate ${issued.serial} runs until ${until}`,
          );
      },
    );
}

function refuse(silo: Command, context: CommandContext): void {
  command(silo, 'refuse <name>', 'turn down a pending enrolment')
    .requiredOption('--reason <text>', 'shown to the hospital and kept in the audit trail')
    .action(async (name: string, options: SharedOptions & { reason: string }) => {
      const home = await openHome(options.home);
      await withAdmin(home, async (admin) => {
        const { requestId } = await admin.getEnrolment({ silo: name });
        await admin.refuseSilo({ requestId, reason: options.reason });
      });
      context
        .terminal(options.json)
        .result({ silo: name, state: 'refused' }, `the enrolment of ${name} is refused`);
    });
}

function describe(silo: SiloSummary__Output): {
  readonly silo: string;
  readonly state: string;
  readonly attending: boolean;
  readonly fingerprint: string;
  readonly certificateExpires: string | null;
  readonly lastSeen: string | null;
} {
  const time = (ms: string): string | null => (Number(ms) > 0 ? timestamp(Number(ms)) : null);
  return {
    silo: silo.silo,
    state: silo.state,
    attending: silo.attending,
    fingerprint: silo.fingerprint,
    certificateExpires: time(silo.certificateExpiresMs),
    lastSeen: time(silo.lastSeenMs),
  };
}
