import type { ViewLine } from './line.ts';
import { decisionOf, factsOf, siloOf } from './fact.ts';
import { EVENT_MEANINGS, type Category } from './meaning.ts';
import { agent, coded, named, system, type Agent, type Coding, type Entity } from './fhirPart.ts';

/**
 * An AuditEvent of FHIR R4 (hl7.org/fhir/R4/auditevent.html) with the elements that IHE Basic Audit Log
 * Patterns 1.1.3 asks for. No profile of IHE is claimed: its disclosure patterns demand a patient, and
 * rounds of Medley have none.
 */
export interface AuditEvent {
  readonly resourceType: 'AuditEvent';
  readonly id: string;
  readonly type: Coding;
  readonly subtype: readonly Coding[];
  readonly action: 'C' | 'R' | 'U' | 'D' | 'E';
  readonly recorded: string;
  readonly outcome: '0' | '4' | '8';
  readonly outcomeDesc: string;
  readonly purposeOfEvent: readonly { readonly coding: readonly Coding[] }[];
  readonly agent: readonly Agent[];
  readonly source: {
    readonly site: string;
    readonly observer: ReturnType<typeof named>;
    readonly type: readonly Coding[];
  };
  readonly entity: readonly Entity[];
}

/** Our own names of event types. */
export const EVENT_TYPE_SYSTEM = 'urn:medley:event-type';

const TYPES: Readonly<Record<Category, readonly [Coding, ...Coding[]]>> = {
  activity: [coded(system.dicom, '110100', 'Application Activity')],
  configuration: [
    coded(system.dicom, '110113', 'Security Alert'),
    coded(system.dicom, '110129', 'Security Configuration'),
  ],
  roles: [
    coded(system.dicom, '110113', 'Security Alert'),
    coded(system.dicom, '110136', 'Security Roles Changed'),
  ],
  account: [
    coded(system.dicom, '110113', 'Security Alert'),
    coded(system.dicom, '110137', 'User Security Attributes Changed'),
  ],
  alert: [coded(system.dicom, '110113', 'Security Alert')],
  export: [
    coded(system.dicom, '110106', 'Export'),
    coded(system.lifecycle, 'disclose', 'Disclose Record Lifecycle Event'),
  ],
};
const JOB = coded(system.entityRole, '20', 'Job');
const DOMAIN = coded(system.entityRole, '4', 'Domain Resource');
const OUTCOMES = { ok: '0', refused: '4', failed: '8' } as const;
const RESEARCH = coded(system.purpose, 'HRESCH', 'healthcare research');
const ADMINISTRATION = coded(system.purpose, 'HSYSADMIN', 'health system administration');

/** One entry of the log as an AuditEvent. Log index and leaf hash are details of its first entity. */
export function toAuditEvent(line: ViewLine): AuditEvent {
  const { index, leafHash, event } = line;
  const { title, action, category } = EVENT_MEANINGS[event.type];
  const [type, ...subtypes] = TYPES[category];
  const purpose = { coding: ['study' in event ? RESEARCH : ADMINISTRATION] };
  return {
    resourceType: 'AuditEvent',
    id: `${index}-${leafHash.slice(0, 40)}`,
    type,
    subtype: [coded(EVENT_TYPE_SYSTEM, event.type, title), ...subtypes],
    action,
    recorded: event.at,
    outcome: OUTCOMES[event.outcome],
    outcomeDesc: event.outcome,
    purposeOfEvent: [purpose],
    agent: agentsOf(line).map((one) => ({ ...one, purposeOfUse: [purpose] })),
    source: {
      site: event.consortium,
      observer: named(event.consortium, 'aggregator', 'aggregator'),
      type: [coded(system.sourceType, '4', 'Application Server')],
    },
    entity: entitiesOf(line, title),
  };
}

/** One AuditEvent on each line (application/fhir+ndjson). */
export function* fhirNdjson(lines: Iterable<ViewLine>): Generator<string> {
  for (const line of lines) yield `${JSON.stringify(toAuditEvent(line))}\n`;
}

function agentsOf({ event }: ViewLine): Agent[] {
  const { consortium, actor } = event;
  const isPerson = actor.kind === 'operator';
  const decision = decisionOf(event);
  const asked = !decision || decision === 'unreadable';
  const own = agent({
    role: isPerson ? 'person' : 'application',
    who: named(consortium, actor.kind, actor.id),
    isRequestor: asked,
    address: `medley://${consortium}/${actor.kind}/${actor.id}`,
  });
  if (!asked) {
    const who = { display: decision.steward };
    return [agent({ role: 'person', who, isRequestor: true }), own];
  }
  if (event.type !== 'model.exported') return [own];
  const source = agent({
    role: 'source',
    who: named(consortium, 'aggregator', 'aggregator'),
    isRequestor: false,
    address: `medley://${consortium}/aggregator/aggregator`,
  });
  const recipient = { display: event.data.recipient };
  return [own, source, agent({ role: 'destination', who: recipient, isRequestor: false })];
}

function entitiesOf(line: ViewLine, title: string): Entity[] {
  const { index, leafHash, event } = line;
  const entry: Entity = {
    what: { identifier: { system: 'urn:medley:log-index', value: String(index) } },
    type: coded(system.entityType, '2', 'System Object'),
    role: coded(system.entityRole, '13', 'Security Resource'),
    name: `log entry ${index}`,
    description: title,
    detail: [
      { type: 'log-index', valueString: String(index) },
      { type: 'leaf-hash', valueString: leafHash },
      ...factsOf(event)
        .filter(({ value }) => value !== '')
        .map(({ name, value }) => ({ type: name, valueString: value })),
    ],
  };
  const silo = siloOf(event);
  return [
    entry,
    ...('study' in event ? [studyEntity(event)] : []),
    ...(silo === undefined
      ? []
      : [
          {
            what: named(event.consortium, 'silo', silo),
            type: coded(system.entityType, '3', 'Organization'),
            role: DOMAIN,
            name: silo,
          },
        ]),
  ];
}

function studyEntity(event: {
  readonly consortium: string;
  readonly study?: string;
  readonly round?: number;
  readonly attempt?: number;
}): Entity {
  const { consortium, study = '', round, attempt } = event;
  const ofRound = round === undefined ? '' : `/round/${round}/attempt/${attempt ?? 1}`;
  return {
    what: {
      identifier: {
        system: system.uri,
        value: `medley://${consortium}/study/${study}${ofRound}`,
      },
    },
    type: coded(system.entityType, '2', 'System Object'),
    role: ofRound ? JOB : DOMAIN,
    name: round === undefined ? study : `${study}, round ${round}`,
  };
}
