import { join } from 'node:path';
import { MedleyError, readText } from '@medley/kit';
import { agentHome, type Box } from './box.ts';
import { initAgent } from './enrol.ts';
import { mean, type DemoFigures, type SiloFigures } from './figures.ts';
import type { SiloSource } from './silos.ts';

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

/** The agent's own record of a study, `results/<study>.json`: for the hospital's eyes. */
interface OwnResults {
  readonly rounds: readonly {
    readonly kind: string;
    readonly local?: {
      readonly startingModel?: { readonly auc?: number; readonly brier: number };
    };
  }[];
}

/**
 * Step 7: beside the federated model, the same model with the same step budget trained by every
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
    brier: own.brier,
  };
}

/** The federated model on this hospital's own test patients, from the hospital's own record. */
async function ownEvaluation(
  box: Box,
  silo: SiloSource,
  study: string,
): Promise<{ readonly auc?: number; readonly brier: number }> {
  const file = join(agentHome(box, silo), 'results', `${study}.json`);
  const { rounds } = JSON.parse(await readText(file)) as OwnResults;
  const last = rounds.findLast(({ kind }) => kind === 'evaluation')?.local?.startingModel;
  if (!last) throw new MedleyError('DEMO_STEP_FAILED', `${file} has no evaluation round`);
  return last;
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
