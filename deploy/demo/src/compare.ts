import { MedleyError } from '@medley/kit';
import { agentHome, type Box } from './box.ts';
import { initAgent } from './enrol.ts';
import { mean, type DemoFigures, type SiloFigures } from './figures.ts';
import type { SiloSource } from './silos.ts';

const RETRY_MS = 500;
/** How often an agent is asked whether it has verified the last round. */
const PATIENCE = 40;

interface SourceFigures {
  readonly train: number;
  readonly test: number;
  readonly auc: number | null;
  readonly brier: number;
}

/** `medley-agent study baseline --json`: one model, judged on every connector's own test patients. */
interface Baseline {
  readonly perSource: Readonly<Record<string, SourceFigures>>;
}

/** `medley-agent study evaluate --json`: for the hospital's eyes. */
interface Evaluation {
  readonly isComplete: boolean;
  readonly auc: number | null;
  readonly brier: number | null;
}

/**
 * Step 5: beside the federated model, the same model with the same step budget trained by every
 * hospital alone, and once on all files together. Every figure is on a hospital's own test patients.
 */
export async function compareModels(
  box: Box,
  study: { readonly name: string; readonly folder: string },
): Promise<{ silos: readonly SiloFigures[]; mean: DemoFigures['mean'] }> {
  const pooled = await trainPooled(box, study.folder);
  const silos: SiloFigures[] = [];
  for (const silo of box.source.silos) silos.push(await compareSilo(box, silo, study, pooled));
  const auc = (way: keyof SiloFigures['auc']): number => mean(silos.map((s) => s.auc[way]));
  return {
    silos,
    mean: {
      auc: { local: auc('local'), federated: auc('federated'), pooled: auc('pooled') },
      brier: mean(silos.map(({ brier }) => brier)),
    },
  };
}

/** A site that has all files: nobody's, in a real consortium. */
async function trainPooled(box: Box, folder: string): Promise<Baseline> {
  const everyone = { name: 'pooled', title: 'All files together', file: box.source.pooled };
  await initAgent(box, everyone);
  return baseline(box, everyone, ['--study-folder', folder]);
}

async function compareSilo(
  box: Box,
  silo: SiloSource,
  study: { readonly name: string },
  pooled: Baseline,
): Promise<SiloFigures> {
  const local = only(await baseline(box, silo, [study.name]));
  const together = pooled.perSource[silo.name];
  const own = await ownEvaluation(box, silo, study.name);
  return {
    name: silo.name,
    title: silo.title,
    train: local.train,
    test: local.test,
    auc: {
      local: local.auc ?? NaN,
      federated: own.auc ?? NaN,
      pooled: together?.auc ?? NaN,
    },
    brier: own.brier ?? NaN,
  };
}

/**
 * The final model on this hospital's own test patients. An agent that came back late may still be
 * verifying the last round; it is asked again until it has.
 */
export async function ownEvaluation(
  box: Box,
  silo: SiloSource,
  study: string,
): Promise<Evaluation> {
  const home = ['--home', agentHome(box, silo)];
  for (let left = PATIENCE; ; left--) {
    const own = await box.programs.call<Evaluation>(
      'medley-agent',
      ...['study', 'evaluate', study, ...home],
    );
    if (own.isComplete) return own;
    if (left === 0) {
      throw new MedleyError('DEMO_STEP_FAILED', `${silo.name} has not verified the last round`);
    }
    await box.clock.sleep(RETRY_MS, box.signal);
  }
}

async function baseline(box: Box, silo: SiloSource, which: readonly string[]): Promise<Baseline> {
  const home = ['--home', agentHome(box, silo)];
  return box.programs.call<Baseline>('medley-agent', 'study', 'baseline', ...which, ...home);
}

function only(result: Baseline): SourceFigures {
  const [figures] = Object.values(result.perSource);
  if (!figures) throw new Error('a baseline has one source at least');
  return figures;
}
