import { factsOf, type Fact } from './fact.ts';
import type { ViewLine } from './line.ts';
import { EVENT_MEANINGS, severityOf } from './meaning.ts';

/** Facility 13, log audit (RFC 5424 section 6.2.1). */
const LOG_AUDIT = 13;
/** Private enterprise number of examples (RFC 5612): Medley has none of its own. */
const SD_ID = 'medley@32473';
/** Where an entry belongs. */
const PLACE: ReadonlySet<string> = new Set(['study', 'round', 'attempt']);
/** Severities of CEF, 0 to 10, by those of syslog. */
const CEF_SEVERITY = { 2: 9, 3: 7, 4: 6, 5: 5, 6: 3 } as const;

/**
 * One entry as a message of RFC 5424, without a frame or a line end: structured data with index, leaf
 * hash and facts, and the title as text. The consortium stands as the host, the type as MSGID.
 */
export function syslogMessage(line: ViewLine): string {
  return message(line, `${structuredData(line)} \ufeff${EVENT_MEANINGS[line.event.type].title}`);
}

/** One entry as an event of ArcSight's Common Event Format, version 0. `version` is the software's. */
export function cefEvent({ index, leafHash, event }: ViewLine, version: string): string {
  const { title, action } = EVENT_MEANINGS[event.type];
  const head = ['CEF:0', 'Medley', 'Medley', version, event.type, title]
    .map((field, i) => (i === 0 ? field : cefField(field)))
    .join('|');
  const study = 'study' in event ? event.study : undefined;
  const extension: readonly (readonly [string, string | undefined])[] = [
    ['rt', String(Date.parse(event.at))],
    ['externalId', String(index)],
    ['act', action],
    ['outcome', event.outcome],
    ['suser', event.actor.id],
    ['sourceServiceName', event.actor.kind],
    ['dvchost', event.consortium],
    ['cs1Label', 'leafHash'],
    ['cs1', leafHash],
    ['cs2Label', study === undefined ? undefined : 'study'],
    ['cs2', study],
    [
      'msg',
      factsOf(event)
        .map(({ name, value }) => `${name}: ${value}`)
        .join('; '),
    ],
  ];
  const pairs = extension.flatMap(([key, value]) =>
    value === undefined || value === '' ? [] : [`${key}=${cefValue(value)}`],
  );
  return `${head}|${CEF_SEVERITY[severityOf(event)]}|${pairs.join(' ')}`;
}

/** The same event as the text of a message of RFC 5424, as collectors of CEF expect it. */
export function cefMessage(line: ViewLine, version: string): string {
  return message(line, `- \ufeff${cefEvent(line, version)}`);
}

/** A message in the octet-counting frame of RFC 5425 section 4.3. */
export function syslogFrame(text: string): Uint8Array {
  const body = new TextEncoder().encode(text);
  const head = new TextEncoder().encode(`${body.length} `);
  const frame = new Uint8Array(head.length + body.length);
  frame.set(head);
  frame.set(body, head.length);
  return frame;
}

function message({ event }: ViewLine, rest: string): string {
  const priority = LOG_AUDIT * 8 + severityOf(event);
  return `<${priority}>1 ${event.at} ${event.consortium} medley - ${event.type} ${rest}`;
}

function structuredData({ index, leafHash, event }: ViewLine): string {
  const facts: readonly Fact[] = [
    { name: 'index', value: String(index) },
    { name: 'leafHash', value: leafHash },
    { name: 'actorKind', value: event.actor.kind },
    { name: 'actorId', value: event.actor.id },
    { name: 'outcome', value: event.outcome },
    ...Object.entries(event).flatMap(([name, value]: [string, unknown]): Fact[] => {
      const isText = typeof value === 'string' || typeof value === 'number';
      return isText && PLACE.has(name) ? [{ name, value: `${value}` }] : [];
    }),
    ...factsOf(event),
  ];
  const parameters = facts.map(({ name, value }) => `${sdName(name)}="${sdValue(value)}"`);
  return `[${SD_ID} ${parameters.join(' ')}]`;
}

/** RFC 5424 section 6.3.3: 1 to 32 printable characters without `=`, space, `]` and `"`. */
function sdName(name: string): string {
  return name.replace(/[^!#-<>-\\^-~]/g, '_').slice(0, 32);
}

/** The three characters that RFC 5424 section 6.3.3 escapes; line ends would split lines of a file. */
function sdValue(text: string): string {
  return unbroken(text).replace(/["\\\]]/g, '\\$&');
}

function cefField(text: string): string {
  return unbroken(text).replace(/[\\|]/g, '\\$&');
}

function cefValue(text: string): string {
  return text
    .replace(/[\\=]/g, '\\$&')
    .replace(/\r\n|\r|\n/g, '\\n')
    .replace(/\p{Cc}/gu, ' ');
}

function unbroken(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}
