import { MedleyError, toBase64, type Json } from '@medley/kit';
import { readCsr, type Csr } from './csr.ts';
import { isIdentityKey, type Identity } from './identity.ts';
import { isName } from './name.ts';
import { signStatement, verifyStatement } from './statement.ts';

/** What a silo asks for when its certificate has served two thirds of its life. */
export interface RenewalRequest {
  readonly silo: string;
  /** PKCS#10 for the silo's next TLS key. */
  readonly csrPem: string;
  /** Serial of the certificate that it has now, lower-case hex: no two requests are alike. */
  readonly after: string;
  /** Raw Ed25519 public key, 32 bytes. */
  readonly identityKey: Uint8Array;
}

/** A renewal signed by the silo's identity key: the certificate alone renews nothing. */
export interface SignedRenewal extends RenewalRequest {
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

const DOMAIN = 'renewal';

/** Signs the renewal that `identity` asks for itself. */
export function signRenewal(
  identity: Identity,
  request: Omit<RenewalRequest, 'identityKey'>,
): SignedRenewal {
  const complete = { ...request, identityKey: identity.publicKey };
  return { ...complete, ...signStatement(identity, DOMAIN, documentOf(complete)) };
}

/**
 * Checks a renewal from anyone: its form, the request's own signature and that of the identity key.
 * Whether that key is the silo's is for the store to say. Throws PKI_RENEWAL_INVALID, PKI_CSR_INVALID
 * and PKI_SIGNATURE_INVALID.
 */
export function verifyRenewal(request: SignedRenewal): Csr {
  const { silo, after, identityKey } = request;
  if (!isName(silo) || !/^[0-9a-f]{1,40}$/.test(after) || !isIdentityKey(identityKey)) {
    throw new MedleyError('PKI_RENEWAL_INVALID', 'the renewal has a malformed field');
  }
  const csr = readCsr(request.csrPem);
  if (csr.name !== silo) {
    throw new MedleyError('PKI_RENEWAL_INVALID', `the certificate request is not for ${silo}`);
  }
  if (!verifyStatement(identityKey, DOMAIN, documentOf(request), request.signature)) {
    throw new MedleyError(
      'PKI_SIGNATURE_INVALID',
      `the renewal of ${silo} is not signed by its key`,
    );
  }
  return csr;
}

/** When a certificate is due for renewal: at two thirds of its life. */
export function renewalDueMs(certificate: {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}): number {
  const { notBeforeMs, notAfterMs } = certificate;
  return notBeforeMs + (2 * (notAfterMs - notBeforeMs)) / 3;
}

function documentOf(request: RenewalRequest): Json {
  return {
    after: request.after,
    csrPem: request.csrPem,
    identityKey: toBase64(request.identityKey),
    silo: request.silo,
  };
}
