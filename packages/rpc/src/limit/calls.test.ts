import { describe, expect, test } from '@jest/globals';
import { ManualClock } from '@medley/kit';
import { CallGate } from './calls.ts';

function gate(callsInFlight: number, callsPerSecond: number) {
  const clock = new ManualClock(1_000_000);
  return { clock, gate: new CallGate({ callsInFlight, callsPerSecond }, clock) };
}

describe('the gate of calls', () => {
  test('a caller with too many calls open waits for one to end, and nobody else does', () => {
    const { gate: calls } = gate(2, 100);
    const leave = calls.enter('silo alder');
    calls.enter('silo alder');
    expect(() => calls.enter('silo alder')).toThrow(expect.objectContaining({ code: 'RPC_BUSY' }));
    expect(() => calls.enter('silo birch')).not.toThrow();
    leave();
    // A call ends once.
    leave();
    expect(() => calls.enter('silo alder')).not.toThrow();
    expect(() => calls.enter('silo alder')).toThrow(expect.objectContaining({ code: 'RPC_BUSY' }));
  });

  test('a caller begins a second’s worth of calls at once and then as many per second', () => {
    const { gate: calls, clock } = gate(1000, 10);
    const begin = (): number => {
      let begun = 0;
      try {
        for (; begun < 100; begun++) calls.enter('silo alder')();
      } catch {
        // Counted by how many were begun.
      }
      return begun;
    };
    expect(begin()).toBe(10);
    clock.advance(500);
    expect(begin()).toBe(5);
    clock.advance(3_600_000);
    expect(begin()).toBe(10);
  });

  test('refused calls cost no credit', () => {
    const { gate: calls, clock } = gate(1, 3);
    const leave = calls.enter('silo alder');
    for (let i = 0; i < 50; i++) expect(() => calls.enter('silo alder')).toThrow();
    leave();
    calls.enter('silo alder')();
    calls.enter('silo alder')();
    expect(() => calls.enter('silo alder')).toThrow('3 calls in a second');
    clock.advance(1000);
    expect(() => calls.enter('silo alder')).not.toThrow();
  });

  test('ever new callers leave nothing behind, and one with an open call is never forgotten', () => {
    const { gate: calls, clock } = gate(1, 1);
    calls.enter('silo alder');
    for (let i = 0; i < 30_000; i++) {
      calls.enter(`address ${i}`)();
      if (i % 100 === 0) clock.advance(100);
    }
    expect(calls.size).toBeLessThanOrEqual(10_001);
    expect(() => calls.enter('silo alder')).toThrow('1 calls open');
  });
});
