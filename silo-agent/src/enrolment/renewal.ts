import { createPublicKey, X509Certificate } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { MedleyError, readText, sha256, toHex, writeDurably, type Clock } from '@medley/kit';
import {
  adoptSuccessor,
  createCsr,
  createTlsKey,
  leafOf,
  readAuthorities,
  readCertificate,
  signRenewal,
  verifyIssued,
  type Certificate,
} from '@medley/pki';
import type { RenewalReply__Output } from '@medley/rpc';
import { isMissing, readIfThere } from '../file.ts';
import type { AgentHome, HomePaths } from '../home.ts';
import { openKeys } from '../keystore.ts';
import { enrolmentAddress, openMembership, type Membership } from './record.ts';
import { dialEnrolment } from './request.ts';

/**
 * Renews this hospital's certificate: a fresh TLS key, asked for with the identity key, so that an
 * expired certificate renews as well. The key is on disk before it is asked for, and a renewal that
 * broke off asks for the very same again. Also takes over a new authority of the consortium, if the one
 * that is pinned here has certified it.
 *
 * Throws AGENT_NOT_ENROLLED, RENEWAL_*, RPC_*, PKI_CERTIFICATE_* and PKI_AUTHORITY_INVALID for an
 * answer that is not to be believed; the old certificate then stays.
 */
export async function renewCertificate(
  home: AgentHome,
  clock: Clock,
  signal: AbortSignal,
): Promise<Certificate> {
  const { paths } = home;
  await finishRenewal(paths);
  const membership = await openMembership(paths);
  const { identity } = await openKeys(paths.keys);
  const nextKeyPem = await nextKey(paths);
  const { silo, consortium } = membership.record;
  const request = signRenewal(identity, {
    silo,
    csrPem: createCsr({ privateKeyPem: nextKeyPem, consortium, name: silo }),
    after: readCertificate(leafOf(membership.certPem)).serial,
  });
  const door = dialEnrolment(enrolmentAddress(home, membership.record), membership.caPem);
  try {
    const reply = await door.renewCertificate(request, { signal });
    const caPem = authoritiesOf(membership, reply, clock.nowMs());
    const certificate = checked(reply.certificatePem, caPem, silo, nextKeyPem, clock.nowMs());
    if (caPem !== membership.caPem) await writeDurably(paths.authority, caPem);
    await writeDurably(paths.nextCertificate, reply.certificatePem);
    await finishRenewal(paths);
    return certificate;
  } finally {
    door.close();
  }
}

/**
 * Puts a renewed key and certificate in their places, the key first. Called again after a crash at any
 * point it ends in the same state; without a renewal under way it changes nothing.
 */
export async function finishRenewal(paths: HomePaths): Promise<void> {
  const certPem = await textIfThere(paths.nextCertificate);
  if (certPem === undefined) return;
  const nextKeyPem = await textIfThere(paths.nextKey);
  if (nextKeyPem !== undefined && isPair(certPem, nextKeyPem)) {
    await moved(paths.nextKey, paths.tlsKey);
    await moved(paths.nextCertificate, paths.certificate);
  } else if (isPair(certPem, await readText(paths.tlsKey))) {
    await moved(paths.nextCertificate, paths.certificate);
  } else {
    await rm(paths.nextCertificate, { force: true });
  }
}

/** Whether the key is the certificate's. */
export function isPair(certPem: string, keyPem: string): boolean {
  return new X509Certificate(leafOf(certPem)).publicKey.equals(createPublicKey(keyPem));
}

/** The authorities to trust after a renewal. Throws PKI_AUTHORITY_INVALID. */
function authoritiesOf(
  { caPem }: Membership,
  reply: Pick<RenewalReply__Output, 'caPem' | 'crossPem'>,
  nowMs: number,
): string {
  return readAuthorities(reply.caPem).reduce((trusted, { pem, spkiSha256 }) => {
    const isKnown = readAuthorities(trusted).some((one) => one.spkiSha256 === spkiSha256);
    return isKnown ? trusted : adoptSuccessor(trusted, pem, reply.crossPem, nowMs);
  }, caPem);
}

function checked(
  chainPem: string,
  caPem: string,
  silo: string,
  keyPem: string,
  nowMs: number,
): Certificate {
  const certificate = verifyIssued(chainPem, caPem, nowMs, 'silo');
  const spki = createPublicKey(keyPem).export({ type: 'spki', format: 'der' });
  if (certificate.subject.name !== silo || certificate.spkiSha256 !== toHex(sha256(spki))) {
    throw new MedleyError('PKI_CERTIFICATE_INVALID', 'the certificate is for another silo or key');
  }
  return certificate;
}

/** The key of the renewal under way, made if there is none. */
async function nextKey({ nextKey: file }: HomePaths): Promise<string> {
  const kept = await textIfThere(file);
  if (kept !== undefined) return kept;
  const { privateKeyPem } = await createTlsKey();
  await writeDurably(file, privateKeyPem, { mode: 0o600 });
  return privateKeyPem;
}

async function textIfThere(file: string): Promise<string | undefined> {
  const bytes = await readIfThere(file);
  return bytes && new TextDecoder().decode(bytes);
}

/** Another process of this home may have finished first. */
async function moved(from: string, to: string): Promise<void> {
  await rename(from, to).catch((cause: unknown) => {
    if (!isMissing(cause)) throw new MedleyError('FILE_UNWRITABLE', to, { cause });
  });
}
