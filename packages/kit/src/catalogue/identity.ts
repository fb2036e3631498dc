import { EXIT, type CatalogueSection } from './section.ts';

/** Keys, certificates, invitations and enrolment. */
export const IDENTITY = {
  PKI_NAME_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.usage,
    sentence: 'A name cannot stand in a certificate.',
    remedy:
      'Use 1 to 63 lower-case letters, digits and inner hyphens for names, and plain host names and addresses.',
  },
  PKI_KEY_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.identity,
    sentence: 'A key is damaged or of the wrong kind.',
    remedy: 'Restore the key file from its backup; if there is none, enrol again with new keys.',
  },
  PKI_PASSPHRASE_WEAK: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.identity,
    sentence: 'The passphrase is too short to protect a key.',
    remedy: 'Choose a passphrase of at least 12 characters.',
  },
  PKI_PASSPHRASE_WRONG: {
    grpc: 'PERMISSION_DENIED',
    http: 403,
    exit: EXIT.identity,
    sentence: 'The passphrase does not open the key.',
    remedy:
      'Give the passphrase the key was encrypted with; if it is right, restore the key file from its backup.',
  },
  PKI_AUTHORITY_INVALID: {
    grpc: 'FAILED_PRECONDITION',
    http: 500,
    exit: EXIT.identity,
    sentence: 'The consortium authority cannot be used.',
    remedy:
      'Check that the authority certificate and its key belong together and that the certificate has not expired.',
  },
  PKI_CSR_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.identity,
    sentence: 'The certificate request is not acceptable.',
    remedy: 'Make a new request with the agent: PKCS#10, RSA of at least 2048 bits, SHA-256.',
  },
  PKI_CERTIFICATE_INVALID: {
    grpc: 'UNAUTHENTICATED',
    http: 401,
    exit: EXIT.identity,
    sentence: 'A certificate is damaged or is not one of this platform.',
    remedy:
      'Check the configured certificate file, or collect the certificate from the operator again.',
  },
  PKI_CERTIFICATE_FOREIGN: {
    grpc: 'UNAUTHENTICATED',
    http: 401,
    exit: EXIT.identity,
    sentence: 'The certificate was not issued by this consortium.',
    remedy:
      'Check for a proxy that decrypts TLS and that both sides use the same authority certificate.',
  },
  PKI_CERTIFICATE_EXPIRED: {
    grpc: 'UNAUTHENTICATED',
    http: 401,
    exit: EXIT.identity,
    sentence: 'The certificate has expired.',
    remedy: 'Check the clock of this machine, then renew the certificate.',
  },
  PKI_CERTIFICATE_EARLY: {
    grpc: 'UNAUTHENTICATED',
    http: 401,
    exit: EXIT.identity,
    sentence: 'The certificate is not valid yet.',
    remedy: 'Set the clock of this machine and use time synchronisation.',
  },
  PKI_CERTIFICATE_PURPOSE: {
    grpc: 'PERMISSION_DENIED',
    http: 403,
    exit: EXIT.identity,
    sentence: 'The certificate was issued for another role.',
    remedy: 'Use the certificate of the role that this connection is for.',
  },
  PKI_CERTIFICATE_REVOKED: {
    grpc: 'UNAUTHENTICATED',
    http: 401,
    exit: EXIT.identity,
    sentence: 'The certificate has been revoked.',
    remedy: 'Ask the operator why; to come back, enrol again with a new invitation.',
  },
  PKI_PIN_MISMATCH: {
    grpc: 'UNAUTHENTICATED',
    http: 401,
    exit: EXIT.identity,
    sentence: 'The server does not belong to the consortium that sent the invitation.',
    remedy:
      'Ask your network team to exempt this address from TLS inspection, or ask for a new invitation.',
  },
  PKI_SIGNATURE_INVALID: {
    grpc: 'UNAUTHENTICATED',
    http: 401,
    exit: EXIT.integrity,
    sentence: 'A signature does not match its document and key.',
    remedy: 'Send the document again unchanged, signed with the enrolled identity key.',
  },
  PKI_ENROLMENT_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.identity,
    sentence: 'The enrolment request is not acceptable.',
    remedy: 'Enrol again with the invitation that was made for this silo.',
  },
  PKI_RENEWAL_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.identity,
    sentence: 'The renewal of a certificate is not acceptable.',
    remedy: 'Let the agent renew by itself; after a restore, compare the home with its backup.',
  },
  PKI_INVITATION_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.identity,
    sentence: 'The invitation is damaged or unknown.',
    remedy:
      'Copy the whole token, from join_v1 to its last character, or ask for a new invitation.',
  },
  PKI_INVITATION_EXPIRED: {
    grpc: 'FAILED_PRECONDITION',
    http: 410,
    exit: EXIT.identity,
    sentence: 'The invitation has expired.',
    remedy: 'Check the clock of this machine, then ask the operator for a new invitation.',
  },
  PKI_INVITATION_USED: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.identity,
    sentence: 'The invitation has already been used.',
    remedy:
      'If it was not you who used it, tell the operator at once; then ask for a new invitation.',
  },
  PKI_INVITATION_LONG: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.config,
    sentence: 'The invitation would be too long to hand over.',
    remedy: 'Use shorter host names for the endpoints, or a shorter silo name.',
  },
  PKI_CRL_INVALID: {
    grpc: 'DATA_LOSS',
    http: 500,
    exit: EXIT.integrity,
    sentence: 'A revocation list is damaged or was not issued by this consortium.',
    remedy: 'Fetch the revocation list from the operator again.',
  },
} as const satisfies CatalogueSection;
