import { access, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { MedleyError, readText, writeDurably, type Clock, type Rng } from '@medley/kit';
import {
  certificateKey,
  certifyRenewal,
  createAuthority,
  crossCertify,
  encryptPrivateKey,
  hostsOf,
  issueCertificate,
  leafOf,
  openAuthority,
  readAuthorities,
  readCertificate,
  readIssuer,
  spkiPin,
  type Authority,
} from '@medley/pki';
import { openHomeAuthority } from './authority.ts';
import { RENEWAL_DAYS, SERVER_DAYS } from './consortium.ts';
import { FILES, type OperatorHome } from './home.ts';

/** Homes that a succession of authorities touches; all three at hand. */
export interface SuccessionParts {
  readonly home: OperatorHome;
  readonly aggregatorHome: string;
  readonly auditHome: string;
  readonly passphrase: string;
  readonly clock: Clock;
  readonly rng: Rng;
  /** Length of the RSA key; default 3072. */
  readonly keyBits?: number;
}

const PUBLIC = { mode: 0o644 };
const CROSS = 'ca.cross.pem';
const AGGREGATOR_CONFIG = 'aggregator.yaml';

/**
 * First half: makes the next authority, lets the present one vouch for it, and has the servers accept
 * both and hand the word on. Nothing is issued by the next one yet. Gives its pin. Throws
 * OPERATOR_HOME_EXISTS when a succession is under way, PKI_*, FILE_*.
 */
export async function announceAuthority(parts: SuccessionParts): Promise<string> {
  const { home, aggregatorHome, auditHome, passphrase, clock, rng } = parts;
  const at = (name: string): string => join(home.folder, name);
  if (await isThere(at(FILES.nextAuthority))) {
    throw new MedleyError('OPERATOR_HOME_EXISTS', `${FILES.nextAuthority} is there`);
  }
  const authority = await openHomeAuthority(home, passphrase);
  const nowMs = clock.nowMs();
  const { consortium } = home.config;
  const keyBits = parts.keyBits ?? 3072;
  const next = await createAuthority({ consortium, nowMs, keyBits, rng });
  const successorPem = next.certificatePem;
  const crossPem = crossCertify({ authority, successorPem, nowMs, rng });
  const both = authority.certificatePem + successorPem;
  await writeDurably(at(FILES.nextKey), encryptPrivateKey(next.privateKeyPem, passphrase, rng));
  await writeDurably(join(aggregatorHome, CROSS), crossPem, PUBLIC);
  await writeDurably(join(aggregatorHome, 'ca.pem'), both, PUBLIC);
  await writeDurably(join(auditHome, 'ca.pem'), both, PUBLIC);
  const file = join(aggregatorHome, AGGREGATOR_CONFIG);
  const yaml = parseDocument(await readText(file));
  yaml.setIn(['tls', 'cross'], CROSS);
  await writeDurably(file, yaml.toString());
  // Last: it says that a succession is under way.
  await writeDurably(at(FILES.nextAuthority), successorPem, PUBLIC);
  return spkiPin(successorPem);
}

/**
 * Second half: the next authority takes over. It certifies the servers, the renewal authority and this
 * operator anew; the old one is trusted until it ends. Throws OPERATOR_HOME_MISSING without a first
 * half, PKI_*, FILE_*.
 */
export async function enthroneAuthority(parts: SuccessionParts): Promise<void> {
  const { home, aggregatorHome, auditHome, passphrase } = parts;
  const at = (name: string): string => join(home.folder, name);
  const certificatePem = await readText(at(FILES.nextAuthority), 'OPERATOR_HOME_MISSING');
  const privateKeyPem = await readText(at(FILES.nextKey), 'OPERATOR_HOME_MISSING');
  const authority = openAuthority({ certificatePem, privateKeyPem, passphrase });
  const before = readAuthorities(home.caPem)[0]?.pem ?? '';
  const both = certificatePem + before;
  for (const folder of [aggregatorHome, auditHome]) {
    const file = join(folder, 'tls.pem');
    const leaf = await certifiedAgain(file, authority, parts);
    await writeDurably(file, leaf + certificatePem, PUBLIC);
    await writeDurably(join(folder, 'ca.pem'), both, PUBLIC);
  }
  const renewal = join(aggregatorHome, 'renewal.pem');
  const publicKeyPem = certificateKey(readIssuer(await readText(renewal)).pem);
  const { clock, rng } = parts;
  const terms = { authority, publicKeyPem, nowMs: clock.nowMs(), days: RENEWAL_DAYS, rng };
  await writeDurably(renewal, certifyRenewal(terms), PUBLIC);
  const own = at(FILES.certificate);
  await writeDurably(own, await certifiedAgain(own, authority, parts), PUBLIC);
  await writeDurably(at(FILES.authority), both, PUBLIC);
  await rename(at(FILES.authorityKey), at(FILES.oldKey));
  await rename(at(FILES.nextKey), at(FILES.authorityKey));
  await rename(at(FILES.nextAuthority), at(FILES.lastAnnounced));
}

/** A certificate for the same name, hosts and key by `authority`, PEM. */
async function certifiedAgain(
  file: string,
  authority: Authority,
  { clock, rng }: SuccessionParts,
): Promise<string> {
  const leaf = leafOf(await readText(file));
  return issueCertificate({
    authority,
    publicKeyPem: certificateKey(leaf),
    subject: readCertificate(leaf).subject,
    ...hostsOf(leaf),
    nowMs: clock.nowMs(),
    days: SERVER_DAYS,
    rng,
  }).certificatePem;
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
