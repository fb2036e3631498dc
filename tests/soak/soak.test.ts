import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { attended } from './attended.ts';
import { heldBytes, slope } from './memory.ts';

test('agents that attend for four minutes hear every heartbeat and vouch for the log to its end', async () => {
  const work = await mkdtemp(join(tmpdir(), 'medley-soak-test-'));
  const result = await attended({ agents: 8, minutes: 4, work });
  await rm(work, { recursive: true });
  // Every five seconds, seen at the second after, less what reconnecting agents miss.
  expect(result.heartbeats).toBeGreaterThan(8 * 4 * 9);
  expect(result.longestSilenceSeconds).toBeLessThanOrEqual(6);
  expect(result.checkpoints).toBeGreaterThanOrEqual(5);
  expect(result.cosignatures).toBeGreaterThanOrEqual(8 * 4);
  expect(result.behind).toBe(0);
  expect(result.heldBytes).toHaveLength(4);
}, 60_000);

test('the slope tells growth from going up and down', () => {
  expect(slope([5, 6, 5, 6, 5])).toBeCloseTo(0);
  expect(slope([1, 3, 5, 7])).toBeCloseTo(2);
  expect(slope([4])).toBe(0);
});

test('what is held counts, and what is let go does not', () => {
  const before = heldBytes();
  const during = withBallast(32 * 2 ** 20);
  expect(during - before).toBeGreaterThan(30 * 2 ** 20);
  expect(during - heldBytes()).toBeGreaterThan(30 * 2 ** 20);
});

/** What is held while so many bytes more are; a frame of its own, so that nothing refers to them later. */
function withBallast(bytes: number): number {
  const ballast = new Uint8Array(bytes).fill(1);
  const held = heldBytes();
  return ballast[0] === 1 ? held : 0;
}
