import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Adds up seconds under names. */
export class Meter {
  #seconds = new Map();

  async time(name, work) {
    const began = performance.now();
    try {
      return await work();
    } finally {
      this.#seconds.set(name, this.of(name) + (performance.now() - began) / 1000);
    }
  }

  of(name) {
    return this.#seconds.get(name) ?? 0;
  }

  /** Seconds of `who` by step, divided by how many took that step (`counts`, else `others`). */
  steps(who, counts, others) {
    const steps = {};
    for (const step of ['advertise', 'share', 'mask', 'confirm', 'release']) {
      steps[step] = this.of(`${who} ${step}`) / (counts[step] ?? others);
    }
    return steps;
  }
}

/** Frees what nothing refers to, so that a measurement of memory begins clean. */
export function collectGarbage() {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}
