import { join } from 'node:path';
import type { Clock } from '@medley/kit';
import { formatVerifierKey, verifierKeyOf } from '@medley/merkle';
import { signWitness, type Identity } from '@medley/pki';
import type { Assignment, CallContext, ServerOptions } from '@medley/rpc';
import type { Witness } from '../../silo-agent/src/witness/witness.ts';
import { witnessKeyOf, witnessOf } from '../support/witness.ts';
import type { Seat } from './enrolled.ts';

/** A handler of the aggregator, called without the network. */
export type Handler = (request: unknown, context: CallContext) => unknown;

export interface RoundsAccess {
  readonly handlers: Readonly<Record<string, Handler>>;
  readonly authorise: NonNullable<ServerOptions['authorise']>;
}

export interface SoakAgentParts extends Seat {
  readonly identity: Identity;
  readonly folder: string;
  readonly clock: Clock;
  readonly rounds: RoundsAccess;
}

/** What of an agent makes work for the aggregator while there is no study: its stream and its witness. */
export class SoakAgent {
  beats = 0;
  cosigned = 0;
  /** Size of the newest checkpoint that it vouched for. */
  vouchedSize = 0;
  /** When it last heard of the aggregator, and its longest silence, in simulated milliseconds. */
  heardMs: number;
  longestMs = 0;
  readonly #parts: SoakAgentParts;
  #witness: Promise<Witness> | undefined;
  #stream: { readonly over: AbortController; readonly ended: Promise<void> } | undefined;
  #duties = 0;

  constructor(parts: SoakAgentParts) {
    this.#parts = parts;
    this.heardMs = parts.clock.nowMs();
  }

  /** True while it answers something that it was sent. */
  get isBusy(): boolean {
    return this.#duties > 0;
  }

  /** Opens its stream. */
  attend(): void {
    const over = new AbortController();
    this.heardMs = this.#parts.clock.nowMs();
    this.#stream = { over, ended: this.#listen(over.signal) };
  }

  /** Breaks its stream, as a network would. */
  async leave(): Promise<void> {
    this.#stream?.over.abort(new Error('the connection broke'));
    await this.#stream?.ended;
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const request = { protocolVersion: 2, agentVersion: 'soak' };
    const replies = (await this.#call('attend', request, signal)) as AsyncIterable<Assignment>;
    try {
      for await (const { heartbeat, checkpoint } of replies) {
        const nowMs = this.#parts.clock.nowMs();
        this.longestMs = Math.max(this.longestMs, nowMs - this.heardMs);
        this.heardMs = nowMs;
        if (heartbeat) this.beats += 1;
        if (checkpoint) await this.#vouch(checkpoint as { note: string; verifierKey: string });
      }
    } catch (caught) {
      if (!signal.aborted) throw caught;
    }
  }

  async #vouch({ note, verifierKey }: { note: string; verifierKey: string }): Promise<void> {
    const { name, identity, folder, clock } = this.#parts;
    const { signal } = new AbortController();
    this.#duties += 1;
    try {
      const files = { head: join(folder, `${name}.head`), fork: join(folder, `${name}.fork`) };
      this.#witness ??= witnessOf({ witness: files }, name, {
        clock,
        prove: async (from, to) => {
          const sizes = { fromSize: String(from), toSize: String(to) };
          const { hashes } = (await this.#call('proveLog', sizes, signal)) as Proof;
          return hashes.map((hash) => new Uint8Array(hash));
        },
      });
      const witness = await this.#witness;
      const { size, cosignature } = await witness.observe(
        { note, verifierKey, isNewest: true },
        signal,
      );
      const witnessKey = formatVerifierKey(verifierKeyOf('witness', witnessKeyOf(name)));
      const claim = { consortium: 'test', silo: name, verifierKey: witnessKey };
      const signature = signWitness(identity, claim);
      const word = { treeSize: String(size), cosignature, witnessKey, signature };
      await this.#call('cosignCheckpoint', word, signal);
      this.cosigned += 1;
      this.vouchedSize = size;
    } finally {
      this.#duties -= 1;
    }
  }

  async #call(method: string, request: unknown, signal: AbortSignal): Promise<unknown> {
    const { name, serial, rounds } = this.#parts;
    const context: CallContext = {
      peer: { role: 'silo', name, consortium: 'test', serial },
      ...{ signal, metadata: undefined as never, address: 'simulation' },
      method: `Rounds.${method}`,
    };
    await rounds.authorise(context);
    return rounds.handlers[method]!(request, context);
  }
}

interface Proof {
  readonly hashes: readonly Uint8Array[];
}
