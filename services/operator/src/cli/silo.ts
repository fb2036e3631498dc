import type { Command } from 'commander';
import { fromHex, MedleyError, printable, table, timestamp } from '@medley/kit';
import {
  createInvitation,
  issueCertificate,
  readAuthorities,
  type Authority,
  type IssuedCertificate,
} from '@medley/pki';
import type { PendingEnrolment__Output, SiloSummary__Output } from '@medley/rpc';
import { checkPending } from '../approval.ts';
import { holdsAuthority, openHomeAuthority, readPassphrase } from '../authority.ts';
import { withAdmin } from '../connection.ts';
import { homeOf, type CommandContext, type SharedOptions } from '../context.ts';
import { aggregatorEndpoints, type OperatorHome } from '../home.ts';
import { command, wholeNumber } from './command.ts';
import { fileCommands } from './files.ts';
import { revocationCommands } from './revocation.ts';

const HOUR_MS = 3_600_000;
/** Last moment that RFC 3339 can write. */
const END_OF_TIME_MS = 253_402_300_799_999;

/** `medley silo …`: who is in the consortium. */
export function siloCommands(program: Command, context: CommandContext): void {
  const silo = program
    .command('silo')
    .description('invite, approve, refuse, revoke and list hospitals');
  invite(silo, context);
  list(silo, context);
  approve(silo, context);
  refuse(silo, context);
  revocationCommands(silo, context);
  fileCommands(silo, context);
}

function invite(silo: Command, context: CommandContext): void {
  command(silo, 'invite <name>', 'make a single-use invitation for a hospital')
    .option('--hours <n>', 'how long the invitation can be used', wholeNumber(1, 8760), 72)
    .addHelpText(
      'after',
      `
The token carries addresses, the authority's pin and a single-use secret. Alone it grants nothing:
the keys that come with it wait for \`medley silo approve\`.

  medley silo invite charite
`,
    )
    .action(async (name: string, options: SharedOptions & { readonly hours: number }) => {
      const home = await homeOf(context, options);
      const invitation = createInvitation({
        rng: context.rng,
        nowMs: context.clock.nowMs(),
        ttlMs: options.hours * HOUR_MS,
        endpoints: await aggregatorEndpoints(home),
        consortium: home.config.consortium,
        silo: name,
        // While one authority takes over from another, the older one's: servers still show it.
        caPin: readAuthorities(home.caPem)[0]?.spkiSha256 ?? '',
      });
      const order = {
        silo: name,
        invitationId: invitation.id,
        // createInvitation wrote it as hex.
        secretHash: fromHex(invitation.secretHash)!,
        expiresMs: String(invitation.expiresAtMs),
      };
      await withAdmin(home, (admin) => admin.invite(order, context));
      const terminal = context.terminal(options.json);
      const expires = timestamp(invitation.expiresAtMs);
      terminal.say(`Give this to ${name}; it can be used once, until ${expires}:`);
      terminal.result({ silo: name, token: invitation.token, expires }, invitation.token);
      terminal.say(`There: medley-agent enroll ${terminal.paint.dim('<token>')}`);
    });
}

function list(silo: Command, context: CommandContext): void {
  command(silo, 'list', 'show every hospital and its state')
    .addHelpText(
      'after',
      `
States: invited (has a token), pending (its keys wait for you), enrolled, refused, revoked. The
fingerprint here is what the aggregator says; compare with the hospital before you approve.

  medley silo list
`,
    )
    .action(async (options: SharedOptions) => {
      const home = await homeOf(context, options);
      const reply = await withAdmin(home, (admin) => admin.listSilos({}, context));
      const silos = reply.silos.map(siloLine);
      const head = ['SILO', 'STATE', 'FINGERPRINT', 'CERTIFICATE UNTIL', 'LAST SEEN'];
      const rows = silos.map((row) => [
        row.silo,
        row.attending ? `${row.state}, attending` : row.state,
        row.fingerprint || '–',
        row.certificateExpires ?? '–',
        row.lastSeen ?? 'never',
      ]);
      const empty = 'No hospital yet. Begin with: medley silo invite NAME';
      const text = rows.length === 0 ? empty : table([head, ...rows]);
      context.terminal(options.json).result({ silos }, printable(text));
    });
}

interface ApproveOptions extends SharedOptions {
  readonly fingerprint: string;
  readonly passphraseFile?: string;
  readonly days: number;
}

function approve(silo: Command, context: CommandContext): void {
  command(silo, 'approve <name>', 'vouch for a hospital whose fingerprint you have compared')
    .requiredOption('--fingerprint <words>', 'the six words that the hospital read out to you')
    .option('--passphrase-file <file>', "file with the authority key's passphrase")
    .option('--days <n>', 'validity of the certificate', wholeNumber(1, 3650), 7)
    .addHelpText(
      'after',
      `
Call the hospital at a number you already had and let them read the six words on their screen. It takes
two operators unless aggregator.yaml says otherwise; each compares the words. Where the home holds the
authority's key the certificate is signed here, for the key never leaves this machine; another operator
approves without it, before or after. The agent renews the certificate by itself.

  medley silo approve charite --fingerprint "bado kelu mina tora zuva gipo"
`,
    )
    .action(async (name: string, options: ApproveOptions) => {
      const home = await homeOf(context, options);
      const authority = await ownAuthority(home, context, options);
      const { reply, issued } = await withAdmin(home, async (admin) => {
        const pending = await admin.getEnrolment({ silo: name }, context);
        checkPending(pending, name, options.fingerprint);
        const certificate = authority && certify(home, authority, pending, context, options.days);
        const order = { requestId: pending.requestId, certificatePem: '' };
        const certificatePem = certificate?.certificatePem ?? '';
        const answer = await admin.approveSilo({ ...order, certificatePem }, context);
        return { reply: answer, issued: certificate };
      });
      const { state, approvedBy, approvalsNeeded } = reply;
      const certificate = issued && {
        serial: issued.serial,
        expires: timestamp(issued.notAfterMs),
      };
      const text =
        state !== 'enrolled'
          ? `${name} is approved by ${approvedBy.join(', ')}; still needed: ${missing(approvedBy, approvalsNeeded, issued !== undefined)}`
          : certificate
            ? `${name} is enrolled; its certificate ${certificate.serial} runs until ${certificate.expires}`
            : `${name} is enrolled`;
      context
        .terminal(options.json)
        .result({ silo: name, state, approvedBy, ...certificate }, printable(text));
    });
}

/** The authority, where this home holds its key. Throws OPERATOR_PASSPHRASE_MISSING, PKI_*. */
async function ownAuthority(
  home: OperatorHome,
  context: CommandContext,
  { passphraseFile }: Pick<ApproveOptions, 'passphraseFile'>,
): Promise<Authority | undefined> {
  if (!(await holdsAuthority(home))) return undefined;
  return openHomeAuthority(home, await readPassphrase(context, passphraseFile));
}

function certify(
  { config }: OperatorHome,
  authority: Authority,
  { silo, csrPem }: Pick<PendingEnrolment__Output, 'silo' | 'csrPem'>,
  { clock, rng }: CommandContext,
  days: number,
): IssuedCertificate {
  const subject = { consortium: config.consortium, role: 'silo', name: silo } as const;
  return issueCertificate({ authority, csrPem, subject, nowMs: clock.nowMs(), days, rng });
}

function missing(approvedBy: readonly string[], needed: number, hasCertificate: boolean): string {
  const others = needed - approvedBy.length;
  if (others <= 0) return 'the approval of the operator who holds the authority';
  return `${String(others)} other operator${hasCertificate ? '' : ', one with the authority'}`;
}

function refuse(silo: Command, context: CommandContext): void {
  command(silo, 'refuse <name>', 'turn down a pending enrolment')
    .requiredOption('--reason <text>', 'shown to the hospital and kept in the audit trail')
    .addHelpText(
      'after',
      `
For words that do not agree, or a hospital that asked by mistake. It can be invited again.

  medley silo refuse charite --reason "the words differ; please enroll again"
`,
    )
    .action(async (name: string, options: SharedOptions & { readonly reason: string }) => {
      const home = await homeOf(context, options);
      await withAdmin(home, async (admin) => {
        const { requestId } = await admin.getEnrolment({ silo: name }, context);
        await admin.refuseSilo({ requestId, reason: options.reason }, context);
      });
      context
        .terminal(options.json)
        .result({ silo: name, state: 'refused' }, `the enrolment of ${name} is refused`);
    });
}

/** A hospital as `--json` shows it. */
interface SiloLine {
  readonly silo: string;
  readonly state: string;
  readonly attending: boolean;
  readonly fingerprint: string;
  readonly certificateExpires: string | null;
  readonly lastSeen: string | null;
}

function siloLine(silo: SiloSummary__Output): SiloLine {
  return {
    silo: silo.silo,
    state: silo.state,
    attending: silo.attending,
    fingerprint: silo.fingerprint,
    certificateExpires: timeOf(silo.certificateExpiresMs),
    lastSeen: timeOf(silo.lastSeenMs),
  };
}

/** A time of the wire, where 0 says never. */
function timeOf(text: string): string | null {
  const ms = Number(text);
  if (ms > END_OF_TIME_MS) throw new MedleyError('RPC_MESSAGE_INVALID', `${text} is no time`);
  return ms === 0 ? null : timestamp(ms);
}
