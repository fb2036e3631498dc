import type { Command } from 'commander';
import { MedleyError, timestamp, type Terminal } from '@medley/kit';
import { readCertificate } from '@medley/pki';
import { collectEnrolment } from '../enrolment/collect.ts';
import { openMembership, readEnrolment, type EnrolmentRecord } from '../enrolment/record.ts';
import { ownFingerprint, requestEnrolment, type PendingEnrolment } from '../enrolment/request.ts';
import { openHome, type AgentHome } from '../home.ts';
import { ensureKeys, type Keys } from '../keystore.ts';
import { command, homeOf, type CommandContext, type SharedOptions } from './context.ts';

type Options = SharedOptions & { readonly wait: boolean };

/** `medley-agent enroll`: from a token to a certificate. */
export function enrollCommand(program: Command, context: CommandContext): void {
  command(program, 'enroll [token]', 'join a consortium with the token that its operator gave you')
    .option('--no-wait', 'ask once and come back later instead of waiting for the operator')
    .addHelpText(
      'after',
      `
Keys are made here and stay here. The token names the consortium's authority, so a server or proxy that
is not the consortium's is noticed before anything is sent. Then six words appear: read them to the
operator over the telephone. Ctrl-C is safe; the same command without token goes on waiting.

  medley-agent enroll join_v1.eyJjIjoi…
  medley-agent enroll                      go on waiting
`,
    )
    .action(async (token: string | undefined, options: Options) => {
      const home = await openHome(homeOf(context, options));
      const terminal = context.terminal(options.json);
      const keys = await ensureKeys(home.paths.keys);
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

async function pending(
  context: CommandContext,
  terminal: Terminal,
  home: AgentHome,
  keys: Keys,
  token: string | undefined,
): Promise<PendingEnrolment> {
  const record = await readEnrolment(home.paths);
  if (record?.state === 'enrolled') {
    throw new MedleyError('AGENT_ENROLLED', `${record.silo} in ${record.consortium}`);
  }
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
  const { serial, notAfterMs } = readCertificate(certPem);
  const expires = timestamp(notAfterMs);
  terminal.result(
    { ...namesOf(record), state: 'enrolled', fingerprint, serial, expires },
    `${terminal.paint.green('✔')} ${record.silo} is enrolled in ${record.consortium}; certificate until ${expires}`,
  );
  terminal.say(
    `Next: ${terminal.paint.bold('medley-agent study list')}, and ${terminal.paint.bold('medley-agent run')}`,
  );
}
