import { resolve } from 'node:path';
import type { Command } from 'commander';
import { MedleyError, timestamp, type Terminal } from '@medley/kit';
import { leafOf, readCertificate } from '@medley/pki';
import { acceptAnswer, requestByFile } from '../enrolment/offline.ts';
import { collectEnrolment } from '../enrolment/collect.ts';
import { openMembership, readEnrolment, type EnrolmentRecord } from '../enrolment/record.ts';
import { ownFingerprint, requestEnrolment, type PendingEnrolment } from '../enrolment/request.ts';
import { openHome, type AgentHome } from '../home.ts';
import { ensureKeys, type Keys } from '../keystore.ts';
import { command, homeOf, type CommandContext, type SharedOptions } from './context.ts';

type Options = SharedOptions & {
  readonly wait: boolean;
  readonly request?: string;
  readonly answer?: string;
};

/** `medley-agent enroll`: from a token to a certificate. */
export function enrollCommand(program: Command, context: CommandContext): void {
  command(program, 'enroll [token]', 'join a consortium with the token that its operator gave you')
    .option('--no-wait', 'ask once and come back later instead of waiting for the operator')
    .option('--request <file>', 'write the request to a file instead of sending it')
    .option('--answer <file>', "take the operator's answer from a file")
    .addHelpText(
      'after',
      `
Keys are made here and stay here. The token names the consortium's authority, so a server or proxy that
is not the consortium's is noticed before anything is sent. Then six words appear: read them to the
operator over the telephone. Ctrl-C is safe; the same command without token goes on waiting.

  medley-agent enroll join_v1.eyJjIjoi…
  medley-agent enroll                      go on waiting

Where the enrolment port cannot be reached, two files make the way: the request goes to the operator
(medley silo import), the answer comes back (medley silo answer).

  medley-agent enroll join_v1.eyJjIjoi… --request request.json
  medley-agent enroll --answer answer.json
`,
    )
    .action(async (token: string | undefined, options: Options) => {
      const home = await openHome(homeOf(context, options));
      const terminal = context.terminal(options.json);
      const keys = await ensureKeys(home.paths.keys);
      if (options.request !== undefined || options.answer !== undefined) {
        await byFile(context, home, keys, token, options);
        return;
      }
      const { record, fingerprint } = await pending(context, terminal, home, keys, token);
      terminal.say(
        `Read these six words to the operator of ${terminal.paint.bold(record.consortium)}:`,
      );
      terminal.say(`\n  ${terminal.paint.bold(fingerprint)}\n`);
      if (options.wait)
        terminal.say('Waiting for approval; Ctrl-C is safe, this command goes on later.');
      const enrolled = await collectEnrolment({
        home,
        keys,
        record,
        wait: options.wait,
        clock: context.clock,
        rng: context.rng,
        signal: context.interrupted,
        onUnreachable: (error) => terminal.redraw(`not reachable (${error.code}), trying again`),
      });
      if (enrolled) await report(home, terminal, fingerprint);
      else terminal.result({ ...namesOf(record), state: 'pending', fingerprint }, fingerprint);
    });
}

/** Both halves of an enrolment without a network. */
async function byFile(
  context: CommandContext,
  home: AgentHome,
  keys: Keys,
  token: string | undefined,
  options: Options,
): Promise<void> {
  const terminal = context.terminal(options.json);
  const { clock, cwd } = context;
  if (options.answer !== undefined) {
    await acceptAnswer({ home, keys, file: resolve(cwd, options.answer), clock });
    await report(home, terminal, ownFingerprint(keys));
    return;
  }
  if (token === undefined) throw new MedleyError('USAGE', '--request needs the token');
  await checkNotEnrolled(home);
  const file = resolve(cwd, options.request ?? '');
  const { record, fingerprint } = await requestByFile({ home, keys, token, file, clock });
  terminal.result({ ...namesOf(record), state: 'pending', fingerprint, file }, fingerprint);
  terminal.say(`Give ${file} to the operator, and read the six words out by telephone.`);
}

async function checkNotEnrolled(home: AgentHome): Promise<EnrolmentRecord | undefined> {
  const record = await readEnrolment(home.paths);
  if (record?.state === 'enrolled') {
    throw new MedleyError('AGENT_ENROLLED', `${record.silo} in ${record.consortium}`);
  }
  return record;
}

async function pending(
  context: CommandContext,
  terminal: Terminal,
  home: AgentHome,
  keys: Keys,
  token: string | undefined,
): Promise<PendingEnrolment> {
  const record = await checkNotEnrolled(home);
  if (token !== undefined) {
    terminal.say('Checking the server against the invitation and handing in this hospital’s keys');
    const { clock, interrupted: signal } = context;
    return requestEnrolment({ home, keys, token, clock, signal });
  }
  if (!record) throw new MedleyError('AGENT_NOT_ENROLLED', 'no enrolment waits; a token is needed');
  return { record, fingerprint: ownFingerprint(keys) };
}

function namesOf({ consortium, silo }: EnrolmentRecord) {
  return { consortium, silo };
}

async function report(home: AgentHome, terminal: Terminal, fingerprint: string): Promise<void> {
  const { record, certPem } = await openMembership(home.paths);
  const { serial, notAfterMs } = readCertificate(leafOf(certPem));
  const expires = timestamp(notAfterMs);
  terminal.result(
    { ...namesOf(record), state: 'enrolled', fingerprint, serial, expires },
    `${terminal.paint.green('✔')} ${record.silo} is enrolled in ${record.consortium}; certificate until ${expires}`,
  );
  terminal.say(
    `Next: ${terminal.paint.bold('medley-agent study list')}, and ${terminal.paint.bold('medley-agent run')}`,
  );
}
