export {
  createAuthority,
  issueCertificate,
  openAuthority,
  type Authority,
  type IssuedCertificate,
  type IssueOptions,
} from './ca.ts';
export {
  certificateKey,
  hostsOf,
  leafOf,
  purposeOf,
  readAuthorities,
  readAuthority,
  readCertificate,
  readIssuer,
  spkiPin,
  verifyIssued,
  verifyPin,
  type AuthorityCertificate,
  type Certificate,
  type IssuerCertificate,
} from './certificate.ts';
export { createCsr, readCsr, type Csr } from './csr.ts';
export * from './enrolment.ts';
export * from './fingerprint.ts';
export {
  createIdentity,
  isIdentityKey,
  openIdentity,
  verifyIdentity,
  type Identity,
} from './identity.ts';
export * from './invitation.ts';
export * from './key.ts';
export { isName, readSubjectUri, subjectUri, type Role, type Subject } from './name.ts';
export * from './renewal.ts';
export { certifyRenewal } from './renewalAuthority.ts';
export {
  buildCrl,
  isRevocationReason,
  readCrl,
  REVOCATION_REASONS,
  type Revocation,
  type RevocationList,
  type RevocationReason,
} from './revocation.ts';
export * from './statement.ts';
export { adoptSuccessor, crossCertify } from './succession.ts';
export * from './witness.ts';
