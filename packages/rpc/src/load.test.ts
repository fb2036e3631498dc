import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { loadService } from './load.ts';

describe('the protocol', () => {
  test('every generated message type is exported', () => {
    const services = ['Admin', 'Audit', 'Enrolment', 'Rounds'];
    const made = readdirSync(new URL('./generated/medley/v1', import.meta.url))
      .map((file) => file.replace(/\.ts$/, ''))
      .filter((name) => !services.includes(name));
    const text = readFileSync(new URL('./message.ts', import.meta.url), 'utf8');
    const exported = [...text.matchAll(/\/v1\/(\w+)\.ts'/g)].map((match) => match[1]);
    expect(exported.toSorted()).toEqual(made.toSorted());
  });

  test('an unknown service is an error of the program', () => {
    expect(() => loadService('Nothing')).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });
});
