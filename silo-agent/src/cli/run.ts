import type { Command } from 'commander';
import { EXIT, MedleyError, takeLock, type Logger, type LogLevel } from '@medley/kit';
import type { Client, RoundsMethods } from '@medley/rpc';
import { Agent, type Attend } from '../agent.ts';
import { openConnection } from '../connection.ts';
import { openHome } from '../home.ts';
import { grpcMessages } from '../round/messages.ts';
import { command, homeOf, type CommandContext, type SharedOptions } from './context.ts';

/** Version of the round protocol that this agent speaks. */
const PROTOCOL_VERSION = 1;

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
Being killed is safe at any moment: what must be remembered is on disk before it is sent.

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
  const { client, keys, site, address } = await openConnection(home, clock);
  const logger = root.with({ silo: site.silo });
  const work = context.openWork();
  const masker = context.openMasker();
  try {
    logger.info('agent starts', { address, detail: context.version });
    const agent = new Agent({
      home,
      site,
      identity: keys.identity,
      messages: grpcMessages(client),
      decisions: async (study, signal) => (await client.getStudy({ study }, { signal })).signatures,
      attend: attendOver(client, context.version),
      ...{ work, masker, clock, rng, logger },
    });
    await agent.run({ drain, stop, drainMs });
    logger.info('agent stops');
  } finally {
    await work.close();
    await masker.close();
    client.close();
  }
}

function attendOver(client: Client<RoundsMethods>, agentVersion: string): Attend {
  return (signal) => client.attend({ agentVersion, protocolVersion: PROTOCOL_VERSION }, { signal });
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
