import { MedleyError } from '@medley/kit';
import type { EventOf, TrailEvent } from '@medley/trail';

/** What is asked for. Times are RFC 3339 in UTC with milliseconds; `to` is not part of the period. */
export interface ExportScope {
  readonly from: string | null;
  readonly to: string | null;
  readonly study: string | null;
  readonly silo: string | null;
}

/** The period as entries: [first, end). */
export interface EntryRange {
  readonly first: number;
  readonly end: number;
}

/** `scope` was asked for; `context` is needed to check it; anything else is here as a hash alone. */
export type Choice = 'scope' | 'context' | 'withheld';

/** Who is who: without these no signature can be judged. */
const IDENTITY = /^(consortium|silo|witness|crl|operator|token)\./;

/** Learns, entry by entry, what of a log belongs to a scope. */
export class Survey {
  readonly #scope: ExportScope;
  #size = 0;
  #first: number | undefined;
  #end = 0;
  readonly #rosters = new Map<string, Set<string>>();
  readonly #silos = new Set<string>();
  /** First entry of a study at or behind the beginning of the period. */
  readonly #active = new Map<string, number>();

  constructor(scope: ExportScope) {
    this.#scope = scope;
  }

  /** Takes the next entry. */
  read(event: TrailEvent): void {
    const index = this.#size++;
    const { from, to } = this.#scope;
    // Both are UTC with milliseconds: the order of text is the order of time.
    if (this.#first === undefined && (from === null || event.at >= from)) this.#first = index;
    if (to === null || event.at < to) this.#end = index + 1;
    if (event.type === 'silo.invited') this.#silos.add(event.data.silo);
    const study = studyOf(event);
    if (study === undefined) return;
    const roster = this.#rosters.get(study) ?? new Set();
    this.#rosters.set(study, roster);
    for (const silo of membersOf(event)) roster.add(silo);
    if (this.#first !== undefined && !this.#active.has(study)) this.#active.set(study, index);
  }

  /** What was asked for, once every entry was read. Throws AUDIT_SCOPE_UNKNOWN. */
  close(): Selection {
    const { study, silo } = this.#scope;
    const first = this.#first ?? this.#size;
    const end = Math.max(first, this.#end);
    if (study !== null && !this.#rosters.has(study)) unknown(`study ${study}`);
    const rosters = [...this.#rosters.values()];
    if (silo !== null && !this.#silos.has(silo) && !rosters.some((one) => one.has(silo))) {
      unknown(`hospital ${silo}`);
    }
    const studies = [...this.#active].flatMap(([name, index]) => {
      const isAsked = study === null || study === name;
      const isMember = silo === null || this.#rosters.get(name)?.has(silo) === true;
      return index < end && isAsked && isMember ? [name] : [];
    });
    return new Selection(this.#scope, { first, end }, new Set(studies));
  }
}

/** Says of each entry whether it is delivered. */
export class Selection {
  readonly scope: ExportScope;
  readonly range: EntryRange;
  /** With an entry in the period; delivered from their proposal on, for later rounds rest on earlier ones. */
  readonly studies: ReadonlySet<string>;

  constructor(scope: ExportScope, range: EntryRange, studies: ReadonlySet<string>) {
    this.scope = scope;
    this.range = range;
    this.studies = studies;
  }

  choose(index: number, event: TrailEvent): Choice {
    const { first, end } = this.range;
    const isInside = index >= first && index < end;
    if (isInside && this.#isAskedFor(event)) return 'scope';
    if (IDENTITY.test(event.type)) return 'context';
    const study = studyOf(event);
    if (study !== undefined && index < end && this.studies.has(study) && this.#isShared(event)) {
      return 'context';
    }
    // The entries beside the period show that it was not cut short.
    return index === first - 1 || index === end ? 'context' : 'withheld';
  }

  #isAskedFor(event: TrailEvent): boolean {
    const { study, silo } = this.scope;
    const own = event.type === 'audit.exported' ? event.data.study : studyOf(event);
    if (study !== null && own !== undefined && own !== study) return false;
    if (study !== null && own === undefined && event.type !== 'audit.exported') return false;
    if (silo === null) return true;
    if (concerns(event, silo)) return true;
    return own !== undefined && this.studies.has(own) && this.#isShared(event);
  }

  /** What a hospital may see of a study's other hospitals: all but what they spent and were refused. */
  #isShared(event: TrailEvent): boolean {
    const { silo } = this.scope;
    if (silo === null || concerns(event, silo)) return true;
    return event.type !== 'privacy.spent' && event.type !== 'message.refused';
  }
}

/** The study that an event belongs to. */
export function studyOf(event: TrailEvent): string | undefined {
  return 'study' in event ? event.study : undefined;
}

function concerns(event: TrailEvent, silo: string): boolean {
  if (event.actor.kind === 'silo' && event.actor.id === silo) return true;
  return 'silo' in event.data && event.data.silo === silo;
}

function membersOf(event: TrailEvent): readonly string[] {
  if (event.type === 'study.started') return event.data.charter.roster.map(({ silo }) => silo);
  return isDecision(event) ? [event.data.silo] : [];
}

function isDecision(event: TrailEvent): event is EventOf<'charter.signed' | 'charter.refused'> {
  return event.type === 'charter.signed' || event.type === 'charter.refused';
}

function unknown(what: string): never {
  throw new MedleyError('AUDIT_SCOPE_UNKNOWN', `${what} is not in the log`);
}
