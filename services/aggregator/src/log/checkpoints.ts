import { MedleyError, type Clock, type Logger } from '@medley/kit';
import type { Ledger } from './ledger.ts';

export interface CheckpointPace {
  readonly everyMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Signs the log every so often when it has new leaves, until `stop` aborts. */
export async function runCheckpoints(
  ledger: Pick<Ledger, 'checkpoint'>,
  { everyMs, clock, logger }: CheckpointPace,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    await clock.sleep(everyMs, stop).catch(() => undefined);
    try {
      await ledger.checkpoint();
    } catch (caught) {
      const { code, message } = MedleyError.from(caught);
      logger.error('checkpoint failed', { code, detail: message });
    }
  }
}
