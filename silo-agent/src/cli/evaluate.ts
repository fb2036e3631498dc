import type { Command } from 'commander';
import { MedleyError } from '@medley/kit';
import { firstRound, lastRound } from '@medley/study';
import { openMembership } from '../enrolment/record.ts';
import { openHome } from '../home.ts';
import { openKeys } from '../keystore.ts';
import { ProgressStore } from '../round/progress.ts';
import { StudyFolder } from '../study/folder.ts';
import { command, homeOf, type CommandContext, type SharedOptions } from './context.ts';

/** `medley-agent study evaluate`: the federated model on this hospital's own test patients. */
export function evaluateCommand(study: Command, context: CommandContext): void {
  command(study, 'evaluate <id>', "judge the federated model on this hospital's own test patients")
    .addHelpText(
      'after',
      `
Takes the model state that this agent verified last, so it works while a study runs and for rounds
that this hospital missed. Nothing leaves this machine.

  medley-agent study evaluate recurrence-5y
`,
    )
    .action(async (id: string, options: SharedOptions) => {
      const home = await openHome(homeOf(context, options));
      const { record } = await openMembership(home.paths);
      const { identity } = await openKeys(home.paths.keys);
      const { consortium, silo } = record;
      const site = { consortium, silo, publicKey: identity.publicKey };
      const folder = new StudyFolder(home.paths, id, site);
      const pinned = await folder.approved();
      const progress = new ProgressStore(folder.folder, pinned);
      const { nextRound, modelHash } = await progress.load();
      const state = await progress.state(modelHash);
      if (!state || nextRound === firstRound(pinned.study)) {
        throw new MedleyError('AGENT_NO_ROUND', `study ${id} at ${folder.folder}`);
      }
      const work = context.openWork();
      try {
        const { study: terms, charter, model } = pinned;
        const task = { study: terms, charter, model, site: home.site, state, seed: id } as const;
        const { summary } = await work.perform(
          { ...task, kind: 'evaluation' },
          context.interrupted,
        );
        const { count = 0, auc = null, brier = null, loss = null } = summary.startingModel ?? {};
        const round = nextRound - 1;
        const figure = (value: number | null): string => value?.toFixed(3) ?? '–';
        context.terminal(options.json).result(
          {
            study: id,
            round,
            isComplete: nextRound > lastRound(terms),
            test: count,
            auc,
            brier,
            loss,
          },
          `after round ${String(round)}, on ${String(count)} test patients: AUC ${figure(auc)}, Brier ${figure(brier)}, loss ${figure(loss)}`,
        );
      } finally {
        await work.close();
      }
    });
}
