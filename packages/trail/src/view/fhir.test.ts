import { describe, expect, test } from '@jest/globals';
import { toHex } from '@medley/kit';
import { leafHash } from '@medley/merkle';
import { fhirValidator } from '../../../../tests/support/fhir.ts';
import { sampleEvent, sampleEvents, sampleSpend } from '../../../../tests/support/sampleEvent.ts';
import { sealed, wholeStudy } from '../../../../tests/support/trail.ts';
import type { TrailEvent } from '../event.ts';
import { fhirNdjson, toAuditEvent } from './fhir.ts';
import { viewLines, type ViewLine } from './line.ts';

const faultsOf = fhirValidator('AuditEvent');
const linesOf = (events: readonly TrailEvent[]): ViewLine[] => [
  ...viewLines(sealed(events).entries),
];
const study = linesOf(wholeStudy());

describe('an AuditEvent', () => {
  test.each(sampleEvents().map((event) => [event.type, event] as const))(
    'of %s is valid under the published schema of FHIR R4',
    (_, event) => {
      const [line] = linesOf([event]);
      expect(faultsOf(toAuditEvent(line!))).toEqual([]);
    },
  );

  test('of every entry of a whole study is valid', () => {
    for (const line of study) expect(faultsOf(toAuditEvent(line))).toEqual([]);
  });

  test.each([
    ['no source', { source: undefined }],
    ['local words for the outcome', { outcome: 'ok' }],
    ['an element of no such resource', { patientCount: 12 }],
    ['no agent', { agent: undefined }],
  ])('with %s would be found out', (_, change) => {
    // Through JSON, as it is written: an undefined element is not there.
    const broken = JSON.parse(JSON.stringify({ ...toAuditEvent(study[0]!), ...change })) as object;
    expect(faultsOf(broken)).not.toEqual([]);
  });

  test('ties itself to its entry by index and leaf hash', () => {
    const { entries } = sealed(wholeStudy());
    study.forEach((line, index) => {
      const { id, entity } = toAuditEvent(line);
      const hash = toHex(leafHash(entries[index]!));
      expect(id).toBe(`${index}-${hash.slice(0, 40)}`);
      expect(entity[0]!.detail).toEqual(
        expect.arrayContaining([
          { type: 'log-index', valueString: String(index) },
          { type: 'leaf-hash', valueString: hash },
        ]),
      );
    });
  });

  test('has what IHE BALP asks of every event: one requestor, an observer, a purpose for each agent', () => {
    for (const line of study) {
      const event = toAuditEvent(line);
      expect(event.agent.filter(({ requestor }) => requestor)).toHaveLength(1);
      expect(event.agent.every(({ purposeOfUse }) => purposeOfUse?.length === 1)).toBe(true);
      expect(event.source.observer.identifier?.value).toMatch(/^medley:\/\/.+\/aggregator/);
      // The published schema asks for no primitive element; the specification asks for this one.
      expect(event.recorded).toBe(line.event.at);
      expect(event.subtype[0]).toMatchObject({ code: line.event.type });
    }
  });

  test('of a signed charter names the steward as who asked, and the hospital beside them', () => {
    const line = study.find(({ event }) => event.type === 'charter.signed')!;
    const { agent, entity } = toAuditEvent(line);
    expect(agent.map(({ name, requestor }) => [name, requestor])).toEqual([
      ['Steward of silo-1', true],
      ['silo-1', false],
    ]);
    expect(entity[0]!.detail!.find(({ type }) => type === 'signed.meaning')!.valueString).toMatch(
      /^I have read this charter and approve/,
    );
  });

  test('of an exported model is a disclosure with source, destination and human requestor', () => {
    const line = study.find(({ event }) => event.type === 'model.exported')!;
    const { type, subtype, action, agent, source } = toAuditEvent(line);
    expect([type.code, subtype[1]?.code, action]).toEqual(['110106', 'disclose', 'R']);
    expect(agent.map((one) => one.type.coding[0]!.code)).toEqual(['humanuser', '110153', '110152']);
    expect(agent[1]!.who).toEqual(source.observer);
    expect(agent[1]!.network).toBeDefined();
  });

  test('of a privacy statement says ε, δ and limit', () => {
    const [line] = linesOf([sampleSpend({ silo: 'st-anna', round: 1, epsilon: 1.25 })]);
    const detail = toAuditEvent(line!).entity[0]!.detail!;
    const of = (name: string) => detail.find(({ type }) => type === name)?.valueString;
    expect(of('signed')).toBeUndefined();
    expect([of('signed.epsilon'), of('signed.delta'), of('signed.limit')]).toEqual([
      ...['1.25', '0.000001', '3'],
    ]);
  });

  test('says of a statement that cannot be read that it cannot', () => {
    const [line] = linesOf([sampleEvent('charter.signed')]);
    const { entity, agent } = toAuditEvent(line!);
    expect(entity[0]!.detail).toContainEqual({ type: 'signed', valueString: 'unreadable' });
    expect(agent).toHaveLength(1);
  });

  test.each([
    ['ok', '0'],
    ['refused', '4'],
    ['failed', '8'],
  ] as const)('gives the outcome %s as %s', (outcome, code) => {
    const [line] = linesOf([sampleEvent('message.refused', { outcome })]);
    expect(toAuditEvent(line!).outcome).toBe(code);
  });
});

test('NDJSON is one resource on each line, each ended by a line feed', () => {
  const text = [...fhirNdjson(study)].join('');
  const lines = text.split('\n');
  expect(lines.pop()).toBe('');
  expect(lines.map((line) => JSON.parse(line) as object)).toEqual(
    study.map((line) => toAuditEvent(line)),
  );
});
