import { createPublicKey, sign, type KeyObject } from 'node:crypto';
import forge from 'node-forge';
import { MedleyError, toHex, type Rng } from '@medley/kit';
import { binary, unbinary } from './asn1.ts';
import type { Role } from './name.ts';

/** A certificate while node-forge builds it. */
export type Builder = forge.pki.Certificate;

const { pki } = forge;
// Missing from the published types.
const tbsOf = (pki as typeof pki & { getTBSCertificate: (certificate: Builder) => forge.asn1.Asn1 })
  .getTBSCertificate;

export const DAY_MS = 86_400_000;
/** Certificates begin this much early, so that a silo whose clock is slow can use them at once. */
const BACKDATE_MS = 5 * 60_000;

/** What every certificate begins with. */
export interface Beginning {
  readonly publicKeyPem: string;
  readonly subject: forge.pki.CertificateField[];
  readonly issuer: forge.pki.CertificateField[];
  readonly nowMs: number;
  readonly notAfterMs: number;
  readonly rng: Rng;
}

/** A certificate with its key, names, times and a random serial; extensions are the caller's to set. */
export function begin(options: Beginning): Builder {
  const builder = pki.createCertificate();
  builder.publicKey = pki.publicKeyFromPem(options.publicKeyPem);
  const serial = options.rng.bytes(16);
  // 0x40…0x7f in front: positive, of fixed length, 126 random bits (CA/B Forum asks for 64).
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  builder.serialNumber = toHex(serial);
  builder.validity.notBefore = new Date(wholeSeconds(options.nowMs - BACKDATE_MS));
  builder.validity.notAfter = new Date(wholeSeconds(options.notAfterMs));
  builder.setSubject(options.subject);
  builder.setIssuer(options.issuer);
  return builder;
}

/** Signs with OpenSSL what forge has built: the key stays a KeyObject, and signing takes 2 ms. */
export function finish(builder: Builder, privateKey: KeyObject): string {
  const algorithmOid = pki.oids['sha256WithRSAEncryption'] ?? '';
  builder.signatureOid = algorithmOid;
  builder.siginfo.algorithmOid = algorithmOid;
  builder.tbsCertificate = tbsOf(builder);
  const der = unbinary(forge.asn1.toDer(builder.tbsCertificate).getBytes());
  builder.signature = binary(sign('sha256', der, privateKey));
  return pki.certificateToPem(builder).replaceAll('\r\n', '\n');
}

/** O, OU and CN in this order, each as UTF8String. */
export function distinguishedName(
  organization: string,
  unit: Role | 'authority',
  name: string,
): forge.pki.CertificateField[] {
  // Types that node-forge's declarations leave out but its encoder reads.
  const valueTagClass = forge.asn1.Type.UTF8 as unknown as forge.asn1.Class;
  return [
    { name: 'organizationName', value: organization, valueTagClass },
    { name: 'organizationalUnitName', value: unit, valueTagClass },
    { name: 'commonName', value: name, valueTagClass },
  ];
}

/** An issuer's certificate as forge reads it, for its name and key identifier. */
export function parentOf(pem: string): {
  readonly name: forge.pki.CertificateField[];
  /** Binary string, as forge's extensions want it. */
  readonly keyIdentifier: string;
} {
  const parent = pki.certificateFromPem(pem);
  const extension = parent.getExtension('subjectKeyIdentifier') as
    { readonly subjectKeyIdentifier?: string } | null | undefined;
  const hex = extension?.subjectKeyIdentifier ?? '';
  return {
    name: parent.subject.attributes,
    keyIdentifier: Buffer.from(hex, 'hex').toString('latin1'),
  };
}

/** The RSA key as SubjectPublicKeyInfo in PEM. Throws PKI_KEY_INVALID. */
export function rsaKey(publicKeyPem: string): string {
  try {
    const key = createPublicKey(publicKeyPem);
    if (key.asymmetricKeyType !== 'rsa') throw new Error('a TLS key must be RSA');
    return key.export({ type: 'spki', format: 'pem' }).toString();
  } catch (cause) {
    throw new MedleyError('PKI_KEY_INVALID', 'the public key cannot be certified', { cause });
  }
}

export function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}
