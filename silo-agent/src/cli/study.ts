import type { Command } from 'commander';
import { MedleyError, table } from '@medley/kit';
import { arithmetic, type Forecast } from '@medley/privacy';
import { openLedger } from '../budget/ledger.ts';
import { withConnection, type Connection } from '../connection.ts';
import { openDataset } from '../connectors/dataset.ts';
import { openHome, type AgentHome } from '../home.ts';
import { decide, leave, type Decided } from '../study/decide.ts';
import { studyDocument, studyText } from '../study/description.ts';
import { checkPolicy, fetchOffer, type StudyOffer } from '../study/offer.ts';
import { checkForecast, forecastOf } from '../study/privacyView.ts';
import { command, homeOf, type CommandContext, type SharedOptions } from './context.ts';

type SignOptions = SharedOptions & {
  readonly as: string;
  readonly yes: boolean;
  readonly skipData: boolean;
};

/** `medley-agent study list|show|sign|refuse`: what the data steward decides. */
export function studyCommands(program: Command, context: CommandContext): Command {
  const study = program
    .command('study')
    .description('read, sign or refuse studies; compare with local training');
  list(study, context);
  show(study, context);
  sign(study, context);
  refuse(study, context);
  withdraw(study, context);
  return study;
}

function list(study: Command, context: CommandContext): void {
  command(study, 'list', 'show the studies that name this hospital').action(
    async (options: SharedOptions) => {
      const home = await openHome(homeOf(context, options));
      const { studies } = await withConnection(home, context.clock, ({ client }) =>
        client.listStudies({}, { signal: context.interrupted }),
      );
      const rows = studies.map((one) => [
        one.study,
        one.state,
        one.myDecision,
        `${String(one.signed)} of ${String(one.rosterSize)}`,
        `${String(one.round)} of ${String(one.rounds)}`,
        one.title,
      ]);
      const head = ['STUDY', 'STATE', 'YOUR DECISION', 'SIGNED', 'ROUND', 'TITLE'];
      context
        .terminal(options.json)
        .result({ studies }, rows.length === 0 ? 'No study yet.' : table([head, ...rows]));
    },
  );
}

function show(study: Command, context: CommandContext): void {
  command(study, 'show <id>', 'say exactly what a study would do here')
    .addHelpText(
      'after',
      `
The documents are checked against each other and against this hospital's limits before a word is shown:
which columns are read, what is computed, how many bytes leave in which form, who takes part.

  medley-agent study show recurrence-5y
`,
    )
    .action(async (id: string, options: SharedOptions) => {
      const home = await openHome(homeOf(context, options));
      const offer = await withConnection(home, context.clock, ({ client, site }) =>
        fetchOffer(client, id, site, context.interrupted),
      );
      const terminal = context.terminal(options.json);
      const signedBy = offer.signatures.map(({ silo }) => silo);
      const forecast = await forecastOf(openLedger(home, context), offer.charter);
      terminal.result(
        { ...studyDocument(offer), state: offer.state, signedBy, budget: forecast ?? null },
        studyText(offer),
      );
      if (forecast) terminal.say(budgetText(forecast));
      const policy = policyFault(home, context, offer);
      if (policy)
        terminal.say(`${terminal.paint.yellow('!')} weaker than this hospital's policy: ${policy}`);
    });
}

function sign(study: Command, context: CommandContext): void {
  command(study, 'sign <id>', "approve a study in this hospital's name")
    .requiredOption('--as <name>', "the data steward's name, which stands in the audit trail")
    .option('--yes', 'do not ask; for where nobody can answer', false)
    .option(
      '--skip-data',
      "sign although the data were not checked against the study's columns",
      false,
    )
    .addHelpText(
      'after',
      `
Shows the study, checks that this hospital's data fit it, asks, and signs the charter's hash with the
identity key. From then on the agent takes part by itself, in exactly these terms, once every hospital
of the roster has signed.

  medley-agent study sign recurrence-5y --as "Dr. Ada Weber"
`,
    )
    .action(async (id: string, options: SignOptions) => {
      const home = await openHome(homeOf(context, options));
      await withConnection(home, context.clock, async (connection) => {
        const terminal = context.terminal(options.json);
        const offer = await fetchOffer(connection.client, id, connection.site, context.interrupted);
        checkPolicy(offer.charter, home.config.policy, context.clock.nowMs());
        const forecast = await forecastOf(openLedger(home, context), offer.charter);
        checkForecast(forecast);
        terminal.say(studyText(offer));
        if (forecast) terminal.say(budgetText(forecast));
        if (!options.skipData) await checkOwnData(home, offer);
        if (!options.yes)
          await confirmed(context, `Type the study's name to sign as ${options.as}: `, id);
        await conclude(context, home, connection, offer, options);
      });
    });
}

function refuse(study: Command, context: CommandContext): void {
  command(study, 'refuse <id>', "refuse a study in this hospital's name")
    .requiredOption('--as <name>', "the data steward's name, which stands in the audit trail")
    .requiredOption('--reason <text>', 'shown to the operator and kept in the audit trail')
    .addHelpText(
      'after',
      `
The signed refusal goes into the audit trail; the study cannot start with this hospital.

  medley-agent study refuse recurrence-5y --as "Dr. Ada Weber" --reason "No consent for relapse data"
`,
    )
    .action(async (id: string, options: SharedOptions & { as: string; reason: string }) => {
      const home = await openHome(homeOf(context, options));
      await withConnection(home, context.clock, async (connection) => {
        const offer = await fetchOffer(connection.client, id, connection.site, context.interrupted);
        await conclude(context, home, connection, offer, options);
      });
    });
}

function withdraw(study: Command, context: CommandContext): void {
  command(study, 'withdraw <id>', 'leave a study that has started, for good')
    .requiredOption('--as <name>', "the data steward's name, which stands in the audit trail")
    .requiredOption('--reason <text>', 'shown to the operator and kept in the audit trail')
    .option('--yes', 'do not ask; for where nobody can answer', false)
    .addHelpText(
      'after',
      `
From now on the agent of this folder sends no message of the study, also in the middle of a round and
also if the aggregator cannot be reached; then run the command again later to tell it. What was sent in
closed rounds stays in their sums and cannot be taken out. The study goes on while enough hospitals
remain. To take part again, a new study must be proposed and signed.

  medley-agent study withdraw recurrence-5y --as "Dr. Ada Weber" --reason "Consent was revoked"
`,
    )
    .action(
      async (id: string, options: SharedOptions & { as: string; reason: string; yes: boolean }) => {
        const home = await openHome(homeOf(context, options));
        const { as: steward, reason } = options;
        if (!options.yes)
          await confirmed(context, `Type the study's name to leave it as ${steward}: `, id);
        const decision = await withConnection(home, context.clock, (connection) =>
          leave(
            home,
            connection,
            { study: id, steward, reason },
            context.clock,
            context.interrupted,
          ),
        );
        const terminal = context.terminal(options.json);
        terminal.result(
          { study: id, decision },
          `${terminal.paint.green('✔')} this hospital has left ${id}, signed by ${decision.steward}`,
        );
      },
    );
}

async function conclude(
  context: CommandContext,
  home: AgentHome,
  connection: Connection,
  offer: StudyOffer,
  options: SharedOptions & { readonly as: string; readonly reason?: string },
): Promise<void> {
  const { as: steward, reason } = options;
  const verdict = { documents: offer, steward, ...(reason === undefined ? {} : { reason }) };
  const decided = await decide(home, connection, verdict, context.clock, context.interrupted);
  const terminal = context.terminal(options.json);
  terminal.result(
    { study: offer.study.name, charterHash: offer.charterHash, ...decided },
    `${terminal.paint.green('✔')} ${decidedText(offer.study.name, decided)}`,
  );
}

function decidedText(study: string, { signed, rosterSize, decision }: Decided): string {
  if (signed === undefined) return `${study} is refused, signed by ${decision.steward}`;
  const all = signed === rosterSize ? '; the operator can start it' : '';
  return `${study} is signed by ${decision.steward}: ${String(signed)} of ${String(rosterSize)}${all}`;
}

async function confirmed(context: CommandContext, question: string, id: string): Promise<void> {
  const answer = await context.ask(question, context.interrupted);
  if (answer?.trim() !== id) {
    const why = answer === undefined ? 'nobody can answer here' : 'the name was not typed';
    throw new MedleyError('AGENT_CONFIRMATION', why);
  }
}

async function checkOwnData(home: AgentHome, offer: StudyOffer): Promise<void> {
  if (home.site.connectors.length === 0) throw new MedleyError('AGENT_NO_DATA', home.paths.config);
  await openDataset(home.site, offer.study);
}

/** What signing would mean for the patients of this hospital's data set, over all studies. */
function budgetText(forecast: Forecast): string {
  return `budget of this site: ${arithmetic(forecast)}: it ${forecast.fits ? 'fits' : 'does not fit'}`;
}

function policyFault(
  home: AgentHome,
  context: CommandContext,
  offer: StudyOffer,
): string | undefined {
  try {
    checkPolicy(offer.charter, home.config.policy, context.clock.nowMs());
    return undefined;
  } catch (caught) {
    return MedleyError.from(caught).message;
  }
}
