import { MedleyError, toBase64, type Json } from '@medley/kit';
import { readCsr, type Csr } from './csr.ts';
import { fingerprintWords } from './fingerprint.ts';
import { isIdentityKey, type Identity } from './identity.ts';
import { isName } from './name.ts';
import { signStatement, statementBytes, verifyStatement } from './statement.ts';

/**
 * What a silo hands in to be enrolled, as its signature covers it. The invitation's secret is there as
 * its hash, so that everyone who keeps the request as evidence can check it without the secret.
 */
export interface EnrolmentRequest {
  readonly invitationId: string;
  /** `invitationSecretHash` of the invitation's secret: 64 lower-case hex digits. */
  readonly secretHash: string;
  readonly silo: string;
  readonly csrPem: string;
  /** Raw Ed25519 public key, 32 bytes. */
  readonly identityKey: Uint8Array;
}

/** A request signed by its own identity key, so that nobody can enrol a key they do not hold. */
export interface SignedEnrolment extends EnrolmentRequest {
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

/** A request whose own signatures hold. Whether its invitation is good is for the store to say. */
export interface VerifiedEnrolment {
  readonly csr: Csr;
  /** Six words that the silo and the operator compare out of band. */
  readonly fingerprint: readonly string[];
}

const DOMAIN = 'enrolment';

/** The bytes that an enrolment's signature covers. */
export function enrolmentBytes(request: EnrolmentRequest): Uint8Array {
  return statementBytes(DOMAIN, documentOf(request));
}

/** Signs the request that `identity` makes for itself. */
export function signEnrolment(
  identity: Identity,
  request: Omit<EnrolmentRequest, 'identityKey'>,
): SignedEnrolment {
  const complete = { ...request, identityKey: identity.publicKey };
  return { ...complete, ...signStatement(identity, DOMAIN, documentOf(complete)) };
}

/**
 * Checks a request from anyone. Throws PKI_ENROLMENT_INVALID for malformed fields or a certificate
 * request with another name, PKI_SIGNATURE_INVALID and PKI_CSR_INVALID.
 */
export function verifyEnrolment(request: SignedEnrolment): VerifiedEnrolment {
  const { identityKey, silo } = request;
  const isWellFormed =
    isName(silo) &&
    /^[0-9a-f]{16}$/.test(request.invitationId) &&
    /^[0-9a-f]{64}$/.test(request.secretHash) &&
    isIdentityKey(identityKey);
  if (!isWellFormed) {
    throw new MedleyError('PKI_ENROLMENT_INVALID', 'the enrolment request has a malformed field');
  }
  const csr = readCsr(request.csrPem);
  if (csr.name !== silo) {
    throw new MedleyError('PKI_ENROLMENT_INVALID', `the certificate request is not for ${silo}`);
  }
  if (!verifyStatement(identityKey, DOMAIN, documentOf(request), request.signature)) {
    throw new MedleyError(
      'PKI_SIGNATURE_INVALID',
      `the enrolment of ${silo} is not signed by its key`,
    );
  }
  return { csr, fingerprint: fingerprintWords(identityKey) };
}

function documentOf(request: EnrolmentRequest): Json {
  return {
    csrPem: request.csrPem,
    identityKey: toBase64(request.identityKey),
    invitationId: request.invitationId,
    secretHash: request.secretHash,
    silo: request.silo,
  };
}
