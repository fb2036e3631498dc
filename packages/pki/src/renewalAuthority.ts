import { checkName } from './name.ts';
import { encode, OID, oid, sequence, set, tagged, utf8String, binary } from './asn1.ts';
import { MedleyError, type Rng } from '@medley/kit';
import { begin, DAY_MS, distinguishedName, finish, parentOf, rsaKey } from './builder.ts';
import type { Authority } from './ca.ts';
import { readAuthority } from './certificate.ts';

/** nameConstraints (RFC 5280 section 4.2.1.10). */
const NAME_CONSTRAINTS = '2.5.29.30';

/**
 * Certifies a key as renewal authority: it can issue client certificates whose subject begins with
 * O=consortium, OU=silo, and nothing else. OpenSSL holds these limits in every handshake: the path
 * ends below it, its extended key usage is client authentication, and a critical name constraint
 * keeps it to silos. Never beyond the authority's own end.
 *
 * Throws PKI_AUTHORITY_INVALID (also for an authority made before there were renewal authorities,
 * whose path length leaves no room, and an expired one) and PKI_KEY_INVALID.
 */
export function certifyRenewal(options: {
  readonly authority: Authority;
  readonly publicKeyPem: string;
  readonly nowMs: number;
  readonly days: number;
  readonly rng: Rng;
}): string {
  const { authority, nowMs } = options;
  const issuer = readAuthority(authority.certificatePem);
  if (nowMs > issuer.notAfterMs) {
    throw new MedleyError('PKI_AUTHORITY_INVALID', 'the authority certificate has expired');
  }
  const consortium = checkName(issuer.consortium, 'the consortium');
  const parent = parentOf(issuer.pem);
  const builder = begin({
    publicKeyPem: rsaKey(options.publicKeyPem),
    subject: distinguishedName(consortium, 'authority', `${consortium} renewals`),
    issuer: parent.name,
    nowMs,
    notAfterMs: Math.min(nowMs + options.days * DAY_MS, issuer.notAfterMs),
    rng: options.rng,
  });
  builder.setExtensions([
    { name: 'basicConstraints', critical: true, cA: true, pathLenConstraint: 0 },
    { name: 'keyUsage', critical: true, keyCertSign: true, cRLSign: true },
    { name: 'extKeyUsage', clientAuth: true },
    { id: NAME_CONSTRAINTS, critical: true, value: onlySilosOf(consortium) },
    { name: 'subjectKeyIdentifier' },
    { name: 'authorityKeyIdentifier', keyIdentifier: parent.keyIdentifier },
  ]);
  return finish(builder, authority.privateKey);
}

/** DER of one permitted subtree, a directory name, as forge's binary string. */
function onlySilosOf(consortium: string): string {
  const part = (type: string, text: string) => set(sequence(oid(type), utf8String(text)));
  const name = sequence(part(OID.organization, consortium), part(OID.organizationalUnit, 'silo'));
  // GeneralName directoryName [4] is explicit because Name is a CHOICE.
  const subtree = sequence(tagged(4, [name]));
  return binary(encode(sequence(tagged(0, [subtree]))));
}
