import { systemRng } from '@medley/kit';
import {
  certifyRenewal,
  createAuthority,
  createTlsKey,
  issueCertificate,
  openAuthority,
  openPrivateKey,
  spkiPin,
  type Authority,
  type KeyPair,
  type Role,
} from '@medley/pki';

/** Key and certificate of one party, PEM. */
export interface Credentials {
  readonly keyPem: string;
  readonly certPem: string;
  /** Certificate, then the authority's. */
  readonly chainPem: string;
  readonly serial: string;
}

/** A consortium's authority that issues certificates for loopback tests. */
export interface TestAuthority {
  readonly consortium: string;
  readonly caPem: string;
  /** Hex SHA-256 of its SubjectPublicKeyInfo. */
  readonly caPin: string;
  readonly authority: Authority;
  /** A renewal authority under it, the same at each call. */
  renewals(): Authority;
  issue(
    role: Role,
    name: string,
    options?: { readonly nowMs?: number; readonly days?: number },
  ): Credentials;
}

/**
 * Small RSA keys, and one key pair for all parties: generating keys is the slow part of TLS tests, and
 * no test here depends on parties having different keys.
 */
export async function createTestAuthority(consortium: string): Promise<TestAuthority> {
  const nowMs = Date.now();
  const made = await createAuthority({ consortium, nowMs, rng: systemRng, keyBits: 2048 });
  const authority = openAuthority({
    certificatePem: made.certificatePem,
    privateKeyPem: made.privateKeyPem,
  });
  const key: KeyPair = await createTlsKey(2048);
  const { publicKeyPem, privateKeyPem } = key;
  const certificatePem = certifyRenewal({
    authority,
    publicKeyPem,
    nowMs,
    days: 90,
    rng: systemRng,
  });
  const renewals = { certificatePem, privateKey: openPrivateKey(privateKeyPem) };
  return {
    renewals: () => renewals,
    consortium,
    caPem: made.certificatePem,
    caPin: spkiPin(made.certificatePem),
    authority,
    issue: (role, name, options = {}) => {
      const issued = issueCertificate({
        authority,
        subject: { consortium, role, name },
        ...(role === 'aggregator' || role === 'audit'
          ? { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] }
          : {}),
        nowMs: options.nowMs ?? nowMs,
        days: options.days ?? 1,
        rng: systemRng,
        publicKeyPem: key.publicKeyPem,
      });
      return {
        keyPem: key.privateKeyPem,
        certPem: issued.certificatePem,
        chainPem: issued.certificatePem + made.certificatePem,
        serial: issued.serial,
      };
    },
  };
}
