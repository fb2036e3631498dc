import { parseNote, parseVerifierKey } from '@medley/merkle';
import type { TrailEvent } from '@medley/trail';

/** Follows who is enrolled and who is a witness, to tell whether enough of them vouch for a checkpoint. */
export class WitnessRoll {
  readonly #enrolled = new Set<string>();
  /** Silo by name and key id of its witness key. */
  readonly #keys = new Map<string, string>();
  #quorum: readonly [number, number] = [2, 3];

  read(event: TrailEvent): void {
    if (event.type === 'silo.approved') this.#enrolled.add(event.data.silo);
    else if (event.type === 'silo.revoked') this.#enrolled.delete(event.data.silo);
    else if (event.type === 'witness.registered') {
      const { name, keyId } = parseVerifierKey(event.data.verifierKey);
      this.#keys.set(`${name} ${keyId}`, event.data.silo);
    } else if (event.type === 'consortium.setting' && event.data.name === 'witnessQuorum') {
      const [numerator = 2, denominator = 3] = event.data.value.split('/').map(Number);
      this.#quorum = [numerator, denominator];
    }
  }

  /** True when somebody has ever vouched, so that it makes sense to wait for more. */
  get hasWitnesses(): boolean {
    return this.#keys.size > 0;
  }

  /** Whether enough enrolled silos have signed the note. Signatures are the verifier's to check. */
  isFinal(note: string): boolean {
    const silos = parseNote(note).signatures.flatMap(({ name, keyId }) => {
      const silo = this.#keys.get(`${name} ${keyId}`);
      return silo !== undefined && this.#enrolled.has(silo) ? [silo] : [];
    });
    const [numerator, denominator] = this.#quorum;
    const required = Math.max(1, Math.ceil((this.#enrolled.size * numerator) / denominator));
    return this.#enrolled.size === 0 || new Set(silos).size >= required;
  }
}
