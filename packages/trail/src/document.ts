import type { JsonSchema } from '@medley/kit';
import { EVENT_SCHEMAS } from './schema.ts';

/** A node of the schemas above, as far as the document reads it. */
interface Node {
  readonly description?: string;
  readonly type?: string;
  readonly pattern?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly title?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
}

const HEAD = `# Events of the audit trail

<!-- Made by \`npm run docs\` from EVENT_SCHEMAS of packages/trail. A test fails when it is out of date. -->

Every entry of the log is the canonical JSON (RFC 8785) of one event, at most 65,535 bytes. Unknown
types and unknown keys are refused. No event holds patient data or a count of patients. Hashes are
SHA-256 in lower-case hex.

| Key | Content |
| --- | --- |
| \`v\` | 1 |
| \`type\` | one of the types below |
| \`at\` | when the aggregator recorded it (RFC 3339, UTC, milliseconds) |
| \`consortium\` | name of the consortium |
| \`actor\` | \`kind\` (operator, silo, aggregator) and \`id\` |
| \`outcome\` | ok, refused or failed |
| \`study\`, \`round\`, \`attempt\` | where the event belongs to one |
| \`data\` | by type |
`;

/** docs/events.md: every type of event with its fields, from the schemas alone. */
export function eventsMarkdown(): string {
  const sections = Object.entries(EVENT_SCHEMAS).map(([type, schema]) => section(type, schema));
  return [HEAD, ...sections].join('\n');
}

function section(type: string, schema: JsonSchema): string {
  const root = schema as Node;
  const scope = (root.required ?? []).filter((key) => ['study', 'round', 'attempt'].includes(key));
  const about = scope.length > 0 ? ` Names its ${scope.join(', ')}.` : '';
  return `## ${type}

${root.description ?? ''}${about}

| Field of \`data\` | Form | Meaning |
| --- | --- | --- |
${rows(root.properties?.['data'] ?? {}, '').join('\n')}
`;
}

function rows(node: Node, prefix: string): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
    const path = `${prefix}${key}`;
    const optional = node.required?.includes(key) ? '' : ' (may be absent)';
    const own = `| \`${path}\`${optional} | ${formOf(child)} | ${child.description ?? ''} |`;
    // A charter has its own schema and document; its fields are not listed here again.
    if (child.title !== undefined) return [own];
    return [own, ...rows(child.items ?? child, child.items ? `${path}[].` : `${path}.`)];
  });
}

function formOf(node: Node): string {
  if (node.title !== undefined) return node.title;
  if (node.enum) return node.enum.map(String).join(', ');
  if (node.type === 'array') return `list of ${node.items?.type ?? 'values'}`;
  return node.type ?? 'value';
}
