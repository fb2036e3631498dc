import { seededRng } from '@medley/kit';
import { encodeVector, layoutLength, slotStep, type Slot, type VectorLayout } from '@medley/secagg';
import {
  evaluationValues,
  layoutFor,
  trainingValues,
  type Charter,
  type RoundKind,
  type SlotValues,
  type Study,
} from '@medley/study';
import type { LocalWork } from '../../silo-agent/src/training/work.ts';

/**
 * Local work whose values lie on the quantiser's grid, so that its random rounding changes nothing:
 * every attempt of a silo has the same vector before masks, and sums can be told in advance.
 */
export function exactWork(index: number): LocalWork {
  return {
    perform: async ({ kind, study, charter }) => {
      const rows = { trainRows: 30 + index, testRows: 4 };
      const summary = { kind, ...rows, fingerprint: 'ab'.repeat(32), elapsedMs: 1 };
      return { values: exactValues(study, charter, kind, index), summary };
    },
    close: async () => undefined,
  };
}

/** The words of a silo's vector before masks. */
export function exactWords(
  study: Study,
  charter: Charter,
  kind: RoundKind,
  index: number,
): Uint32Array {
  const layout = layoutFor(study, charter, kind);
  return encodeVector(layout, exactValues(study, charter, kind, index), seededRng('unused'));
}

/** The sum over some silos, as it would be without masks, network and faults. */
export function plainSum(
  study: Study,
  charter: Charter,
  kind: RoundKind,
  silos: readonly number[],
): Uint32Array {
  const sum = new Uint32Array(layoutLength(layoutFor(study, charter, kind)));
  for (const index of silos) {
    exactWords(study, charter, kind, index).forEach((word, i) => (sum[i] = sum[i]! + word));
  }
  return sum;
}

function exactValues(study: Study, charter: Charter, kind: RoundKind, index: number): SlotValues {
  const rng = seededRng(`work of silo ${index}`);
  const test = { logits: [-1, 0.5, 2, -0.2], labels: [0, 1, 1, 0] };
  const delta = Float32Array.from(
    { length: charter.modelParameters },
    () => (rng.bytes(1)[0]! / 256 - 0.5) * charter.clipping.coordinate,
  );
  const values =
    kind === 'training'
      ? trainingValues(study, charter, { delta, weight: 30 + index, trainLoss: 0.5, test })
      : evaluationValues(study, charter, test);
  return onGrid(layoutFor(study, charter, kind), values);
}

function onGrid(layout: VectorLayout, values: SlotValues): SlotValues {
  const slots = layout.map((slot) => [
    slot.name,
    values[slot.name]!.map((x) => gridPoint(slot, x)),
  ]);
  // The same slots as went in.
  return Object.fromEntries(slots) as SlotValues;
}

/** A multiple of the slot's step near x whose division by the step is exact. */
function gridPoint(slot: Slot, x: number): number {
  const step = slotStep(slot);
  for (let whole = Math.round(x / step); ; whole--) {
    if ((whole * step) / step === whole) return whole * step;
  }
}
