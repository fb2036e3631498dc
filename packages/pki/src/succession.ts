import { MedleyError, type Rng } from '@medley/kit';
import { begin, finish, parentOf } from './builder.ts';
import type { Authority } from './ca.ts';
import { isSignedBy, parseX509, readAuthorities, readAuthority, spkiPin } from './certificate.ts';

/**
 * The word of an authority for its successor: a certificate for the successor's key, of the same name,
 * signed by the present authority, valid for as long as both are. Whoever pins the present key can
 * believe the next one by it. Throws PKI_AUTHORITY_INVALID for another consortium or the same key.
 */
export function crossCertify(options: {
  readonly authority: Authority;
  readonly successorPem: string;
  readonly nowMs: number;
  readonly rng: Rng;
}): string {
  const { authority, nowMs } = options;
  const present = readAuthority(options.authority.certificatePem);
  const next = readAuthority(options.successorPem);
  if (next.consortium !== present.consortium || next.spkiSha256 === present.spkiSha256) {
    throw new MedleyError('PKI_AUTHORITY_INVALID', 'not a successor of this authority');
  }
  const parent = parentOf(present.pem);
  const key = parseX509(next.pem).publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const builder = begin({
    publicKeyPem: key,
    subject: parentOf(next.pem).name,
    issuer: parent.name,
    nowMs,
    notAfterMs: Math.min(present.notAfterMs, next.notAfterMs),
    rng: options.rng,
  });
  builder.setExtensions([
    { name: 'basicConstraints', critical: true, cA: true, pathLenConstraint: 1 },
    { name: 'keyUsage', critical: true, keyCertSign: true, cRLSign: true },
    { name: 'subjectKeyIdentifier' },
    { name: 'authorityKeyIdentifier', keyIdentifier: parent.keyIdentifier },
  ]);
  return finish(builder, authority.privateKey);
}

/**
 * The authorities to trust from now on: those known, and a successor that one of them has certified.
 * Gives the same list when the successor is known already. Pure: nothing is believed that a known key
 * did not sign.
 *
 * Throws PKI_AUTHORITY_INVALID when the cross certificate is not signed by a known authority, not for
 * the successor's key, out of its time or of another consortium.
 */
export function adoptSuccessor(
  knownPem: string,
  successorPem: string,
  crossPem: string,
  nowMs: number,
): string {
  const known = readAuthorities(knownPem);
  const next = readAuthority(successorPem);
  if (known.some(({ spkiSha256 }) => spkiSha256 === next.spkiSha256)) return knownPem;
  const cross = parseX509(crossPem);
  const crossPin = spkiPin(cross.raw);
  const holds =
    cross.ca &&
    next.consortium === known[0]?.consortium &&
    crossPin === next.spkiSha256 &&
    cross.subject === parseX509(next.pem).subject &&
    nowMs >= Date.parse(cross.validFrom) &&
    nowMs <= Date.parse(cross.validTo) &&
    known.some((root) => nowMs <= root.notAfterMs && isSignedBy(cross, parseX509(root.pem)));
  if (!holds) {
    throw new MedleyError('PKI_AUTHORITY_INVALID', 'no known authority vouches for this one');
  }
  const alive = known.filter(({ notAfterMs }) => nowMs <= notAfterMs);
  return [...alive, next].map(({ pem }) => pem).join('');
}
