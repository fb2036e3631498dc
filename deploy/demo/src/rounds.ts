import { lastRound, type Study } from '@medley/study';
import { Agents } from './agents.ts';
import { operatorHome, type Box } from './box.ts';
import { Killer, type Dropout } from './dropout.ts';
import type { StudyReport } from './status.ts';

/**
 * Step 4: the agents start, the study runs from its statistics to its evaluation, and one agent
 * is killed in the middle of a round and comes back.
 */
export async function runRounds(
  box: Box,
  study: Study,
  onProgress: (report: StudyReport) => void,
): Promise<{ report: StudyReport; dropout: Dropout | null }> {
  const operator = ['--home', operatorHome(box)];
  const { silos } = box.source;
  // After a third of the rounds: early enough to come back, late enough to see it in the plot.
  const killer = new Killer(new Agents(box), silos, Math.floor(lastRound(study) / 3) + 1);
  killer.startAgents(silos);
  await box.programs.call('medley', 'study', 'start', study.name, ...operator);
  let last: StudyReport | undefined;
  for await (const report of box.programs.follow<StudyReport>(
    'medley',
    ...['study', 'status', study.name, '--watch', ...operator],
  )) {
    last = report;
    onProgress(report);
    killer.observe(report);
  }
  if (!last) throw new Error('the study had no status');
  return { report: last, dropout: killer.dropout(last) };
}
