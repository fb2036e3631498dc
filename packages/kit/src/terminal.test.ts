import { describe, expect, test } from '@jest/globals';
import { MedleyError } from './error.ts';
import { createTerminal, printable, table, type Terminal } from './terminal.ts';

function captured(options: { json?: boolean; tty?: boolean; env?: Record<string, string> } = {}): {
  terminal: Terminal;
  out: () => string;
  err: () => string;
} {
  let out = '';
  let err = '';
  const terminal = createTerminal({
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text), isTTY: options.tty ?? false },
    env: options.env ?? {},
    json: options.json ?? false,
  });
  return { terminal, out: () => out, err: () => err };
}

describe('createTerminal', () => {
  test('keeps results apart from words for people', () => {
    const { terminal, out, err } = captured();
    terminal.say('working');
    terminal.result({ n: 1 }, 'one');
    expect(out()).toBe('one\n');
    expect(err()).toBe('working\n');
  });

  test('writes one JSON document when asked to', () => {
    const { terminal, out } = captured({ json: true });
    terminal.result({ n: 1 }, 'one');
    expect(JSON.parse(out())).toEqual({ n: 1 });
  });

  test('shows code, place and remedy of an error and returns its exit code', () => {
    const { terminal, out, err } = captured({ json: true });
    expect(terminal.fail(new MedleyError('CONFIG_INVALID', 'x.yaml:3'))).toBe(3);
    expect(err()).toContain('CONFIG_INVALID');
    expect(err()).toContain('x.yaml:3');
    expect(err()).toContain('Fix:');
    expect(JSON.parse(out())).toMatchObject({
      error: { code: 'CONFIG_INVALID', detail: 'x.yaml:3' },
    });
  });

  test('draws progress only for a person, and clears it before the next line', () => {
    const quiet = captured();
    quiet.terminal.redraw('50 %');
    expect(quiet.err()).toBe('');
    const watched = captured({ tty: true, env: { NO_COLOR: '1' } });
    watched.terminal.redraw('50 %');
    watched.terminal.say('done');
    expect(watched.err()).toBe('\r\u001b[2K50 %\r\u001b[2Kdone\n');
  });

  test('colours only where it may', () => {
    expect(captured({ tty: true }).terminal.paint.red('x')).not.toBe('x');
    expect(captured({ tty: true, env: { NO_COLOR: '' } }).terminal.paint.red('x')).toBe('x');
    expect(captured().terminal.paint.red('x')).toBe('x');
  });
});

test('table aligns columns and trims line ends', () => {
  expect(
    table([
      ['a', 'bbb'],
      ['cc', 'd'],
    ]),
  ).toBe('a   bbb\ncc  d');
});

describe('printable', () => {
  test('leaves text in any script, tabs and line breaks alone', () => {
    const text = 'Charité\tбольница\n病院 “six words”';
    expect(printable(text)).toBe(text);
  });

  test('takes away what steers a terminal', () => {
    expect(printable('a\u001b[2Jb\rc\u009b1md\u202ee')).toBe('a�[2Jb�c�1md�e');
  });

  test('is applied to the detail of an error that a peer sent', () => {
    const { terminal, err } = captured();
    terminal.fail(new MedleyError('RPC_FORBIDDEN', 'x\u001b]0;owned\u0007'));
    expect(err()).toContain('x�]0;owned�');
  });
});
