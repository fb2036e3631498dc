import type { Command } from 'commander';
import { EXIT, MedleyError, takeLock, type Logger, type LogLevel } from '@medley/kit';
import { openLedger } from '../budget/ledger.ts';
import { Agent } from '../agent.ts';
import { openConnection } from '../connection.ts';
import { keepRenewed, renewIfDue } from '../enrolment/renewalLoop.ts';
import { openHome } from '../home.ts';
import { ensureWitnessKey } from '../keystore.ts';
import { Link } from '../link.ts';
import { grpcMessages } from '../round/messages.ts';
import { vouching } from '../witness/vouch.ts';
import { Witness, type ProveLog } from '../witness/witness.ts';
import { command, homeOf, type CommandContext, type SharedOptions } from './context.ts';

/** Version of the round protocol that this agent speaks. */
const PROTOCOL_VERSION = 2;

type Options = SharedOptions & { readonly log: string; readonly drainSeconds: number };

/** `medley-agent run`: takes part until it is told to stop. */
export function runCommand(
  program: Command,
  context: CommandContext,
  setExit: (code: number) => void,
): void {
  command(program, 'run', 'take part in the studies that were signed, until stopped')
    .option('--log <level>', 'debug, info, warn or error', 'info')
    .option('--drain-seconds <n>', 'longest time to finish open rounds after SIGTERM', seconds, 25)
    .addHelpText(
      'after',
      `
Dials out to the aggregator and to nobody else; opens no port. Logs JSON lines to standard error.
SIGTERM or Ctrl-C finishes the attempts that are open and begins none; a second one stops at once.
Being killed is safe at any moment: what must be remembered is on disk before it is sent. The
certificate is renewed at two thirds of its life, signed for by the identity key.

  medley-agent run
`,
    )
    .action(async (options: Options) => {
      const home = await openHome(homeOf(context, options));
      const logger = context.logger(levelOf(options.log));
      // Two agents with one identity could sign messages that contradict each other.
      const lock = await takeLock(home.paths.lock, context.processes, 'AGENT_RUNNING');
      try {
        await attend(context, home, logger, options.drainSeconds * 1000);
      } finally {
        await lock.release();
      }
      // Ctrl-C says so in the exit code; a supervisor's SIGTERM is no failure.
      const { reason } = context.interrupted as { reason: unknown };
      if (MedleyError.from(reason).message === 'SIGINT') setExit(EXIT.interrupted);
    });
}

async function attend(
  context: CommandContext,
  home: Awaited<ReturnType<typeof openHome>>,
  root: Logger,
  drainMs: number,
): Promise<void> {
  const { clock, rng, interrupted: drain, killed: stop } = context;
  await renewIfDue({ home, clock, rng, logger: root }, drain);
  const { client: first, keys, site, address } = await openConnection(home, clock);
  const link = new Link(first);
  const { client } = link;
  const logger = root.with({ silo: site.silo });
  const work = context.openWork();
  const masker = context.openMasker();
  const over = new AbortController();
  const reconnect = async (): Promise<void> =>
    link.swap((await openConnection(home, clock)).client);
  const renewal = keepRenewed({ home, clock, rng, logger }, reconnect, over.signal);
  try {
    logger.info('agent starts', { address, detail: context.version });
    const messages = grpcMessages(client);
    const witnessKey = await ensureWitnessKey(home.paths.witnessKey, site);
    const prove: ProveLog = (...sizes) => messages.proveLog(...sizes);
    const { witness: files } = home.paths;
    const witness = new Witness({ files, key: witnessKey, prove, clock });
    await witness.check();
    const agent = new Agent({
      home,
      site,
      identity: keys.identity,
      messages,
      witness,
      vouch: vouching(site, keys.identity, witnessKey, messages),
      decisions: async (study, signal) => (await client.getStudy({ study }, { signal })).signatures,
      attend: link.attend({ agentVersion: context.version, protocolVersion: PROTOCOL_VERSION }),
      ledger: openLedger(home, context),
      ...{ work, masker, clock, rng, logger },
    });
    await agent.run({ drain, stop, drainMs });
    logger.info('agent stops');
  } finally {
    over.abort(new MedleyError('INTERRUPTED', 'the agent stops'));
    await renewal;
    await work.close();
    await masker.close();
    link.close();
  }
}

function levelOf(text: string): LogLevel {
  const level = (['debug', 'info', 'warn', 'error'] as const).find((one) => one === text);
  if (!level) throw new MedleyError('USAGE', '--log is debug, info, warn or error');
  return level;
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0 || value > 3600) {
    throw new MedleyError('USAGE', '--drain-seconds is a number from 0 to 3600');
  }
  return value;
}
