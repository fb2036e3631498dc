import type { Store } from '@medley/aggregator';

/** A silo of the soak and the certificate by which it is known. */
export interface Seat {
  readonly name: string;
  readonly serial: string;
  /** 32 bytes, Ed25519. */
  readonly identityKey: Uint8Array;
}

/** Puts silos into the store as their enrolment would have left them. */
export async function seat(store: Store, seats: readonly Seat[], nowMs: number): Promise<void> {
  const untilMs = nowMs + 86_400_000;
  for (const { name, serial, identityKey } of seats) {
    await store.tables.silos.put({
      ...{ name, identityKey, state: 'enrolled', requestId: undefined, lastSeenMs: 0 },
      ...{ fingerprint: 'six words', certificateSerial: serial, certificateExpiresMs: untilMs },
    });
    await store.tables.certificates.put({
      ...{ serial, silo: name, issuer: 'authority', issuedMs: nowMs, untilMs, chainPem: '' },
      ...{ requestHash: undefined, revokedMs: undefined, reason: undefined },
    });
  }
}
