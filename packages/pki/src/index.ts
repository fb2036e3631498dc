export {
  createAuthority,
  issueCertificate,
  openAuthority,
  type Authority,
  type IssuedCertificate,
  type IssueOptions,
} from './ca.ts';
export {
  purposeOf,
  readAuthority,
  readCertificate,
  spkiPin,
  verifyIssued,
  verifyPin,
  type AuthorityCertificate,
  type Certificate,
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
export {
  buildCrl,
  readCrl,
  type Revocation,
  type RevocationList,
  type RevocationReason,
} from './revocation.ts';
export * from './statement.ts';
