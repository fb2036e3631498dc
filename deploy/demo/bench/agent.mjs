// The agent as main.ts composes it, but for its local work: the vector of a round is made once and
// costs nothing afterwards. All other code is the agent's own.
import { basename } from 'node:path';
import { availableParallelism } from 'node:os';
import {
  createLogger,
  createTerminal,
  MedleyError,
  processTable,
  systemClock,
  systemRng,
} from '@medley/kit';
import { createMasker } from '@medley/secagg';
import { evaluationValues, trainingValues } from '@medley/study';
import { agentProgram } from '@medley/silo-agent';
import { PRETENDED_ROWS, pretendedUpdate, pretendedWeight } from './update.mjs';

/** The port `LocalWork` without training. */
function idleWork() {
  let kept;
  return {
    perform: async ({ kind, study, charter, site }) => {
      const test = {
        logits: new Float64Array(PRETENDED_ROWS),
        labels: Array.from({ length: PRETENDED_ROWS }, (_, row) => row % 2),
      };
      const silo = basename(site.folder);
      const weight = pretendedWeight(silo);
      const summary = {
        kind,
        trainRows: weight,
        testRows: PRETENDED_ROWS,
        fingerprint: '0'.repeat(64),
        elapsedMs: 0,
      };
      if (kind === 'evaluation') {
        return { values: evaluationValues(study, charter, test), summary };
      }
      kept ??= trainingValues(study, charter, {
        delta: pretendedUpdate(silo, charter.modelParameters),
        weight,
        trainLoss: 0,
        test,
      });
      return { values: kept, summary };
    },
    close: async () => undefined,
  };
}

const interrupted = new AbortController();
const killed = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    const reason = new MedleyError('INTERRUPTED', signal);
    (interrupted.signal.aborted ? killed : interrupted).abort(reason);
  });
}
const { stdout, stderr, env } = process;
const terminal = (json) => createTerminal({ stdout, stderr, env, json });
const program = agentProgram(
  {
    terminal,
    logger: (level) => createLogger('medley-agent', level),
    ask: async () => undefined,
    openWork: idleWork,
    openMasker: () => createMasker({ threads: availableParallelism() }),
    clock: systemClock,
    rng: systemRng,
    interrupted: interrupted.signal,
    killed: killed.signal,
    processes: processTable(process),
    cwd: process.cwd(),
    version: '0.0.0-bench',
  },
  (code) => (process.exitCode = code),
);
try {
  await program.parseAsync(process.argv);
} catch (error) {
  process.exitCode = terminal(process.argv.includes('--json')).fail(error);
}
