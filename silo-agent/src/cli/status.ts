import type { Command } from 'commander';
import { holderOf, isMedleyError, MedleyError, table, timestamp } from '@medley/kit';
import { leafOf, readCertificate } from '@medley/pki';
import { lastRound } from '@medley/study';
import { openMembership, readEnrolment } from '../enrolment/record.ts';
import { openHome, type AgentHome } from '../home.ts';
import { openKeys } from '../keystore.ts';
import { ProgressStore } from '../round/progress.ts';
import { Sessions } from '../round/session.ts';
import { pinnedStudies, StudyFolder } from '../study/folder.ts';
import { readFork, readHead } from '../witness/record.ts';
import { command, homeOf, type CommandContext, type SharedOptions } from './context.ts';

/** An attempt of a round that this hospital left before its end. */
interface GivenUp {
  readonly round: number;
  readonly attempt: number;
  /** Of the catalogue; null in folders of older versions. */
  readonly code: string | null;
}

/** One study as this folder knows it. */
interface StudyStatus {
  readonly study: string;
  readonly decision: string;
  /** Last round that this hospital has verified; null before the first. */
  readonly verifiedRound: number | null;
  readonly rounds: number | null;
  readonly isComplete: boolean;
  /** The newest attempt that this hospital gave up, and why; null when none is kept. */
  readonly gaveUp: GivenUp | null;
  /** Code of what is wrong with the folder, if anything is. */
  readonly fault: string | null;
}

/** `medley-agent status`: what this folder knows, without asking anybody. */
export function statusCommand(program: Command, context: CommandContext): void {
  command(
    program,
    'status',
    'show enrolment, certificate and studies from this folder; asks nobody',
  )
    .addHelpText('after', '\n  medley-agent status --json\n')
    .action(async (options: SharedOptions) => {
      const home = await openHome(homeOf(context, options));
      const terminal = context.terminal(options.json);
      const enrolment = await enrolmentStatus(home);
      const runningPid = (await holderOf(home.paths.lock, context.processes)) ?? null;
      const studies = enrolment.state === 'enrolled' ? await studyStatuses(home) : [];
      const head = await readHead(home.paths.witness);
      const fork = await readFork(home.paths.witness);
      const log = { entries: head?.size ?? null, fork: fork?.kind ?? null };
      const { id, name } = home.config.site;
      const expired = Date.parse(enrolment.certificateExpires ?? '') < context.clock.nowMs();
      const facts = [
        ['site', `${id} (${name})`],
        [
          'enrolment',
          enrolment.consortium ? `${enrolment.state} in ${enrolment.consortium}` : enrolment.state,
        ],
        [
          'certificate',
          enrolment.certificateExpires
            ? `until ${enrolment.certificateExpires}${expired ? ', EXPIRED' : ''}`
            : '–',
        ],
        ['agent', runningPid === null ? 'not running' : `running, process ${String(runningPid)}`],
        [
          'log',
          fork ? `LOG_FORKED: ${fork.kind} of the log, found at ${fork.at}` : logLine(log.entries),
        ],
        ...studies.map((one) => ['study', studyLine(one)]),
      ];
      terminal.result({ site: { id, name }, enrolment, runningPid, log, studies }, table(facts));
    });
}

async function enrolmentStatus(home: AgentHome): Promise<{
  readonly state: 'none' | 'pending' | 'enrolled';
  readonly consortium: string | null;
  readonly certificateSerial: string | null;
  readonly certificateExpires: string | null;
}> {
  const record = await readEnrolment(home.paths);
  const { state = 'none', consortium = null } = record ?? {};
  if (state !== 'enrolled')
    return { state, consortium, certificateSerial: null, certificateExpires: null };
  const { serial, notAfterMs } = readCertificate(
    leafOf((await openMembership(home.paths)).certPem),
  );
  return {
    state,
    consortium,
    certificateSerial: serial,
    certificateExpires: timestamp(notAfterMs),
  };
}

async function studyStatuses(home: AgentHome): Promise<readonly StudyStatus[]> {
  const { record } = await openMembership(home.paths);
  const { identity } = await openKeys(home.paths.keys);
  const site = { consortium: record.consortium, silo: record.silo, publicKey: identity.publicKey };
  const statuses: StudyStatus[] = [];
  for (const study of await pinnedStudies(home.paths)) {
    const sessions = new Sessions(home.paths.rounds(study));
    statuses.push(await studyStatus(new StudyFolder(home.paths, study, site), sessions, study));
  }
  return statuses;
}

async function studyStatus(
  folder: StudyFolder,
  sessions: Sessions,
  study: string,
): Promise<StudyStatus> {
  const none = {
    ...{ study, decision: 'none', verifiedRound: null, rounds: null, isComplete: false },
    gaveUp: null,
  };
  try {
    const pinned = await folder.read();
    if (!pinned) return { ...none, fault: null };
    const { nextRound } = await new ProgressStore(folder.folder, pinned).load();
    const rounds = lastRound(pinned.study);
    return {
      study,
      decision: pinned.decision.decision,
      verifiedRound: nextRound === 0 ? null : nextRound - 1,
      rounds,
      isComplete: nextRound > rounds,
      gaveUp: await gaveUpOf(sessions),
      fault: null,
    };
  } catch (caught) {
    if (!isMedleyError(caught)) throw MedleyError.from(caught);
    return { ...none, fault: caught.code };
  }
}

async function gaveUpOf(sessions: Sessions): Promise<GivenUp | null> {
  const last = (await sessions.list()).filter(({ phase }) => phase === 'ended').at(-1);
  return last ? { round: last.round, attempt: last.attempt, code: last.code ?? null } : null;
}

function logLine(entries: number | null): string {
  return entries === null ? 'no checkpoint seen yet' : `${String(entries)} entries witnessed`;
}

function studyLine({
  study,
  decision,
  verifiedRound,
  rounds,
  isComplete,
  gaveUp,
  fault,
}: StudyStatus): string {
  if (fault !== null) return `${study}: ${fault}`;
  const place =
    verifiedRound === null
      ? 'no round yet'
      : `round ${String(verifiedRound)} of ${String(rounds)} verified`;
  const left = gaveUp
    ? `, gave up round ${String(gaveUp.round)} attempt ${String(gaveUp.attempt)}: ${gaveUp.code ?? 'no code kept'}`
    : '';
  return `${study}: ${decision}, ${isComplete ? 'complete' : place}${left}`;
}
