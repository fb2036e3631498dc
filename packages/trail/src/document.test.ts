import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { eventsMarkdown } from './document.ts';
import { EVENT_SCHEMAS } from './schema.ts';

const published = new URL('../../../docs/events.md', import.meta.url);

test('docs/events.md is what the schemas say', () => {
  expect(readFileSync(published, 'utf8')).toBe(eventsMarkdown());
});

test('the document names every type and every field of its data', () => {
  const text = eventsMarkdown();
  for (const type of Object.keys(EVENT_SCHEMAS)) expect(text).toContain(`\n## ${type}\n`);
  expect(text).toContain('| `receipt.confirmations[].signature` |');
});
