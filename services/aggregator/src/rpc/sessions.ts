import type { MedleyError } from '@medley/kit';

/** Kinds of parties whose admission can end. */
type Kind = 'silo' | 'operator';

/** Who is admitted now, so that open calls end when an admission does. In memory: so are open calls. */
export class Sessions {
  readonly #open = new Map<string, AbortController>();

  /** Aborts when the party's admission ends. */
  until(kind: Kind, name: string): AbortSignal {
    const key = `${kind} ${name}`;
    let session = this.#open.get(key);
    if (!session) {
      session = new AbortController();
      this.#open.set(key, session);
    }
    return session.signal;
  }

  /** Ends every open call of the party with `reason`; later calls are for the store to refuse. */
  end(kind: Kind, name: string, reason: MedleyError): void {
    const key = `${kind} ${name}`;
    this.#open.get(key)?.abort(reason);
    this.#open.delete(key);
  }
}
