import { createPrivateKey, sign } from 'node:crypto';
import { canonicalBytes, toBase64, type JsonSchema } from '@medley/kit';
import type { TreeHead } from '@medley/merkle';
import type { BundleFile } from './folder.ts';
import type { EntryRange, ExportScope } from './selection.ts';

/** manifest.json of a bundle: what is in it, of which log, and what was asked for. */
export interface BundleManifest {
  readonly medley: 'audit-bundle/v1';
  readonly consortium: string;
  /** Who made it, and for whom. */
  readonly operator: string;
  readonly recipient: string;
  /** RFC 3339, UTC. */
  readonly created: string;
  readonly software: { readonly name: 'medley'; readonly version: string };
  readonly log: {
    readonly origin: string;
    readonly verifierKey: string;
    /** Entries under the newest checkpoint, and their root in base64. */
    readonly size: number;
    readonly root: string;
  };
  readonly scope: ExportScope & EntryRange;
  readonly entries: {
    readonly delivered: number;
    readonly inScope: number;
    readonly withheld: number;
  };
  /** In words: what one might look for here and why it is not here. */
  readonly gaps: readonly string[];
  /** Every file but manifest.json, manifest.sig and receipt.json, by path. */
  readonly files: readonly BundleFile[];
}

const text: JsonSchema = { type: 'string', minLength: 1, maxLength: 2000 };
const orNull = (schema: JsonSchema): JsonSchema => ({ anyOf: [schema, { type: 'null' }] });
const count: JsonSchema = { type: 'integer', minimum: 0 };
const closed = (properties: Readonly<Record<string, JsonSchema>>): JsonSchema => ({
  type: 'object',
  additionalProperties: false,
  required: Object.keys(properties),
  properties,
});

/** JSON Schema 2020-12 of manifest.json; it travels with every bundle. */
export const MANIFEST_SCHEMA: JsonSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'audit-bundle/v1',
  ...closed({
    medley: { const: 'audit-bundle/v1' },
    consortium: text,
    operator: text,
    recipient: text,
    created: text,
    software: closed({ name: { const: 'medley' }, version: text }),
    log: closed({ origin: text, verifierKey: text, size: count, root: text }),
    scope: closed({
      ...{ from: orNull(text), to: orNull(text), study: orNull(text), silo: orNull(text) },
      ...{ first: count, end: count },
    }),
    entries: closed({ delivered: count, inScope: count, withheld: count }),
    gaps: { type: 'array', items: text },
    files: {
      type: 'array',
      items: closed({
        path: {
          type: 'string',
          pattern: '^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$',
          description: 'Below the bundle. Under views/: derived, no evidence of its own.',
        },
        bytes: count,
        sha256: { type: 'string', pattern: '^[0-9a-f]{64}$' },
      }),
    },
  }),
};

/** Bytes of manifest.json: canonical JSON (RFC 8785). */
export function manifestBytes(manifest: BundleManifest): Uint8Array {
  return canonicalBytes(manifest);
}

/** How a manifest names the log. */
export function logOf(
  { origin, size, root }: TreeHead,
  verifierKey: string,
): BundleManifest['log'] {
  return { origin, verifierKey, size, root: toBase64(root) };
}

/**
 * manifest.sig: the operator's TLS key over manifest.json, so that the consortium's authority vouches for
 * whoever made the bundle. RSASSA-PKCS1-v1_5 or ECDSA with SHA-256, or Ed25519, as the key is.
 */
export function signManifest(bytes: Uint8Array, keyPem: string): Uint8Array {
  const key = createPrivateKey(keyPem);
  return new Uint8Array(sign(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', bytes, key));
}
