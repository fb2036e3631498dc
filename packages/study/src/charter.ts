import { MedleyError, documentHash, fromBase64 } from '@medley/kit';
import type { RosterEntry } from '@medley/secagg';
import type { PrivacyTerms } from './privacy.ts';

/** One silo in a charter. */
export interface CharterMember {
  /** 1…n in order: the x coordinate of its Shamir shares. */
  readonly index: number;
  readonly silo: string;
  /** Raw Ed25519 public key, 32 bytes, base64. */
  readonly identityKey: string;
}

/** The signed terms of a study. Its canonical bytes (RFC 8785) have one hash; all silos sign that. */
export interface Charter {
  readonly medley: 'charter/v1';
  readonly consortium: string;
  readonly study: string;
  readonly version: 1;
  readonly title: string;
  /** Lower-case hex SHA-256 of the exact files. */
  readonly files: { readonly study: string; readonly model: string };
  readonly roster: readonly CharterMember[];
  readonly secureAggregation: {
    readonly suite: 1;
    readonly protocolVersion: 2;
    /** Width of the ring that updates travel in. */
    readonly ringBits: 32 | 16 | 12;
    /** Whether updates are rotated before they are quantised (rotation.ts). */
    readonly rotation: boolean;
    readonly threshold: number;
    readonly minSurvivors: number;
    readonly maxAttempts: number;
    readonly bits: number;
    readonly weightCap: number;
  };
  readonly clipping: { readonly normL2: number; readonly coordinate: number };
  readonly rounds: {
    readonly count: number;
    readonly stepSeconds: number;
    readonly trainingSeconds: number;
  };
  readonly cohort: { readonly minPatients: number };
  readonly modelParameters: number;
  /** Differential privacy; absent where the study has none. */
  readonly privacy?: PrivacyTerms;
  /** Checkpoint origin and C2SP verifier key of the consortium's log. */
  readonly log: { readonly origin: string; readonly verifierKey: string };
  /** RFC 3339, UTC, milliseconds. */
  readonly created: string;
  readonly expires: string;
}

/** Lower-case hex SHA-256 of the charter's canonical bytes. */
export function charterHash(charter: Charter): string {
  return documentHash(charter);
}

/** The roster as secure aggregation wants it; keys are fresh arrays. */
export function rosterEntries(charter: Charter): RosterEntry[] {
  return charter.roster.map(({ index, silo, identityKey }) => {
    const key = fromBase64(identityKey);
    if (key?.length !== 32) {
      throw new MedleyError('CHARTER_INVALID', `identity key of ${silo} is not 32 bytes of base64`);
    }
    return { index, silo, identityKey: key };
  });
}
