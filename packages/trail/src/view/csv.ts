import { canonicalBytes } from '@medley/kit';
import { decisionOf, factsOf, siloOf, spendOf } from './fact.ts';
import type { ViewLine } from './line.ts';
import { EVENT_MEANINGS } from './meaning.ts';

/** A column of the table. */
interface Column {
  readonly name: string;
  readonly form: string;
  readonly meaning: string;
  readonly value: (line: ViewLine) => string | number | undefined;
}

const column = (name: string, form: string, meaning: string, value: Column['value']): Column => ({
  name,
  form,
  meaning,
  value,
});

const decided = ({ event }: ViewLine, key: 'steward' | 'meaning' | 'at' | 'reason') => {
  const decision = decisionOf(event);
  return decision === undefined || decision === 'unreadable' ? decision : decision[key];
};
const spent = ({ event }: ViewLine, key: 'epsilon' | 'delta' | 'limit') => {
  const spend = spendOf(event);
  return spend === undefined || spend === 'unreadable' ? spend : spend[key];
};
const fact = (name: string) => (line: ViewLine) =>
  factsOf(line.event).find((one) => one.name === name)?.value;

/** In this order for good: new columns come after the last. */
const COLUMNS: readonly Column[] = [
  column('index', 'whole number', 'Place of the entry in the log, from 0.', ({ index }) => index),
  column(
    'leaf_hash',
    'hex, 64',
    'RFC 6962 leaf hash of the entry: SHA-256 of a zero byte and its bytes.',
    ({ leafHash }) => leafHash,
  ),
  column(
    'recorded_at',
    'ISO 8601, UTC, ms, Z',
    'When the aggregator recorded it.',
    (l) => l.event.at,
  ),
  column('consortium', 'name', 'The consortium.', (l) => l.event.consortium),
  column('type', 'name', 'Type of the event, as in docs/events.md.', (l) => l.event.type),
  column('title', 'text', 'The type in words.', (l) => EVENT_MEANINGS[l.event.type].title),
  column(
    'action',
    'C, R, U, D, E',
    'Created, read, updated, deleted or executed (as in FHIR AuditEvent.action).',
    (l) => EVENT_MEANINGS[l.event.type].action,
  ),
  column('outcome', 'ok, refused, failed', 'How it ended.', (l) => l.event.outcome),
  column('actor_kind', 'operator, silo, aggregator', 'Who did it.', (l) => l.event.actor.kind),
  column('actor_id', 'text', 'Name of who did it.', (l) => l.event.actor.id),
  column('study', 'name', 'The study; empty for the consortium’s own entries.', (l) =>
    'study' in l.event ? l.event.study : undefined,
  ),
  column('round', 'whole number', 'Number of the round, from 0.', (l) =>
    'round' in l.event ? l.event.round : undefined,
  ),
  column('attempt', 'whole number', 'Attempt at the round, from 1.', (l) =>
    'attempt' in l.event ? l.event.attempt : undefined,
  ),
  column('silo', 'name', 'The hospital that the entry is about.', (l) => siloOf(l.event)),
  column('charter_hash', 'hex, 64', 'SHA-256 of the charter.', fact('charterHash')),
  column('model_hash', 'hex, 64', 'The model state that the entry is about.', fact('modelHash')),
  column('next_model_hash', 'hex, 64', 'The model state after it.', fact('nextModelHash')),
  column('code', 'NAME', 'Code of the error catalogue, docs/errors.md.', fact('code')),
  column('reason', 'text', 'Why, as the entry gives it.', fact('reason')),
  column('steward', 'text', 'Who signed for the hospital, as signed.', (l) =>
    decided(l, 'steward'),
  ),
  column('signature_meaning', 'text', 'What the signature means, as signed.', (l) =>
    decided(l, 'meaning'),
  ),
  column('signed_at', 'ISO 8601, UTC, ms, Z', 'When it was signed, by the signer’s clock.', (l) =>
    decided(l, 'at'),
  ),
  column('epsilon', 'number', 'Privacy spent in this study by this hospital so far, ε.', (l) =>
    spent(l, 'epsilon'),
  ),
  column('delta', 'number', 'The δ that ε is stated at.', (l) => spent(l, 'delta')),
  column('epsilon_limit', 'number', 'The study’s limit of ε.', (l) => spent(l, 'limit')),
  column(
    'details',
    'JSON object',
    'Everything that the entry’s data says in short; long texts by their SHA-256.',
    ({ event }) =>
      new TextDecoder().decode(
        canonicalBytes(Object.fromEntries(factsOf(event).map(({ name, value }) => [name, value]))),
      ),
  ),
];

/**
 * The table of a log: RFC 4180, UTF-8 without a byte order mark, a head row, CRLF after each row.
 * Texts that a spreadsheet would take for a formula begin with an apostrophe.
 */
export function* csvRows(lines: Iterable<ViewLine>): Generator<string> {
  yield row(COLUMNS.map(({ name }) => name));
  for (const line of lines) {
    yield row(
      COLUMNS.map(({ value }) => {
        const cell = value(line);
        return typeof cell === 'number' ? String(cell) : unformulated(cell ?? '');
      }),
    );
  }
}

/** The data dictionary of {@link csvRows}, itself such a table. */
export function csvDictionary(): string {
  const head = ['column', 'position', 'form', 'meaning'];
  const rows = COLUMNS.map(({ name, form, meaning }, i) => [name, String(i + 1), form, meaning]);
  return [head, ...rows].map((cells) => row(cells.map(unformulated))).join('');
}

/** docs/audit/data-dictionary.md, from the columns and the meanings of events alone. */
export function dictionaryMarkdown(): string {
  const columns = COLUMNS.map(
    ({ name, form, meaning }) => `| \`${name}\` | ${form} | ${meaning} |`,
  );
  const types = Object.entries(EVENT_MEANINGS).map(
    ([type, { title, action, category, weight }]) =>
      `| \`${type}\` | ${title} | ${action} | ${category} | ${weight} |`,
  );
  return `${HEAD}${columns.join('\n')}\n${TYPES}${types.join('\n')}\n`;
}

const HEAD = `# Data dictionary of the views

<!-- Made by \`npm run docs\` from packages/trail/src/view. A test fails when it is out of date. -->

\`medley audit view\` writes the log in forms that other programs read. The log itself stays the evidence:
every line of every view names the entry that it comes from by index and leaf hash.

## Columns of the CSV

RFC 4180: UTF-8 without a byte order mark, commas, CRLF, quotes doubled. The order of the columns does not
change; new ones come last. A text that begins with \`=\`, \`+\`, \`-\`, \`@\`, a tab, a carriage return or a
line feed has an apostrophe put before it, so that no spreadsheet takes it for a formula. A program that
reads the table takes that apostrophe away again. Numbers are never escaped.

| Column | Form | Meaning |
| --- | --- | --- |
`;

const TYPES = `
## Types of events

\`Action\` is AuditEvent.action of FHIR. The category decides type and subtype of the AuditEvent: activity is
DICOM 110100, export 110106, all others 110113 with 110129 (configuration), 110136 (roles) or 110137
(account). The weight decides the severity in syslog (routine 6, notable 5, alarming 2; refused 4, failed 3)
and in CEF (3, 5, 9; 6, 7).

| Type | Title | Action | Category | Weight |
| --- | --- | --- | --- | --- |
`;

/** OWASP, CSV injection: a spreadsheet runs cells that begin so. Wide forms are read alike by some. */
function unformulated(text: string): string {
  return /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text;
}

function row(cells: readonly string[]): string {
  const quoted = cells.map((cell) =>
    /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell,
  );
  return `${quoted.join(',')}\r\n`;
}
