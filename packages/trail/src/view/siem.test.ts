import { describe, expect, test } from '@jest/globals';
import { sampleEvent, sampleEvents } from '../../../../tests/support/sampleEvent.ts';
import { sealed } from '../../../../tests/support/trail.ts';
import type { TrailEvent } from '../event.ts';
import { viewLines, type ViewLine } from './line.ts';
import { cefEvent, cefMessage, syslogFrame, syslogMessage } from './siem.ts';

const lineOf = (event: TrailEvent): ViewLine => [...viewLines(sealed([event]).entries)][0]!;
const paused = (reason: string): ViewLine => {
  const event = sampleEvent('study.paused');
  return lineOf({ ...event, data: { reason } } as TrailEvent);
};

describe('a message of RFC 5424', () => {
  test.each(sampleEvents().map((event) => [event.type, event] as const))(
    'of %s has the grammar of the standard',
    (type, event) => {
      const line = lineOf(event);
      const text = syslogMessage(line);
      const parts =
        /^<(\d{1,3})>1 (\S+) ([!-~]{1,255}) medley - ([!-~]{1,32}) \[medley@32473((?: [!#-<>-\\^-~]{1,32}="(?:[^"\\\]]|\\["\\\]])*")+)\] \ufeff\P{Cc}+$/u.exec(
          text,
        );
      expect(parts?.slice(2, 5)).toEqual([event.at, event.consortium, type]);
      expect(Math.floor(Number(parts![1]) / 8)).toBe(13);
      expect(text).toContain(`leafHash="${line.leafHash}"`);
    },
  );

  test('escapes quotes, backslashes and brackets, and keeps to one line', () => {
    expect(syslogMessage(paused('a "b" \\ [c]\r\nd'))).toContain(
      String.raw`reason="a \"b\" \\ [c\] d"`,
    );
  });

  test('is critical where a hospital broke the protocol and a warning where something was refused', () => {
    expect(syslogMessage(lineOf(sampleEvent('round.blamed')))).toMatch(/^<106>/);
    const refused = lineOf(sampleEvent('message.refused', { outcome: 'refused' }));
    expect(syslogMessage(refused)).toMatch(/^<108>/);
  });

  test('is framed by its length in octets', () => {
    const text = syslogMessage(paused('für é'));
    const frame = Buffer.from(syslogFrame(text)).toString('utf8');
    expect(frame).toBe(`${Buffer.byteLength(text)} ${text}`);
  });
});

describe('an event of CEF', () => {
  test('has seven fields of head before its extension, whatever they hold', () => {
    for (const event of sampleEvents()) {
      const text = cefEvent(lineOf(event), '1|0\\b');
      const fields = text.split(/(?<!\\)\|/);
      expect(fields.slice(0, 5)).toEqual(['CEF:0', 'Medley', 'Medley', '1\\|0\\\\b', event.type]);
      expect(Number(fields[6])).toBeGreaterThanOrEqual(3);
      expect(fields[7]).toMatch(/^rt=\d+ externalId=0 /);
    }
  });

  test('escapes equals signs, backslashes and line ends in values, and leaves pipes', () => {
    expect(cefEvent(paused('a=b \\ | c\r\nd'), '1')).toMatch(/msg=reason: a\\=b \\\\ \| c\\nd$/);
  });

  test('travels as the text of a message of syslog', () => {
    const line = paused('x');
    expect(cefMessage(line, '1')).toMatch(/^<\d+>1 \S+ \S+ medley - study\.paused - \ufeffCEF:0\|/);
    expect(cefMessage(line, '1').endsWith(cefEvent(line, '1'))).toBe(true);
  });
});
