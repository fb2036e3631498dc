import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { seededRng } from '@medley/kit';
import { createAuthority, issueCertificate, openAuthority, type Authority } from './ca.ts';
import { leafOf, readIssuer, verifyIssued } from './certificate.ts';
import { createTlsKey, openPrivateKey, type KeyPair } from './key.ts';
import type { Role } from './name.ts';
import { certifyRenewal } from './renewalAuthority.ts';
import { buildCrl } from './revocation.ts';
import { adoptSuccessor, crossCertify } from './succession.ts';

const NOW = Date.now();
const DAY = 86_400_000;
const rng = seededRng('renewal authority');
const coded = (code: string): unknown => expect.objectContaining({ name: 'MedleyError', code });
let root: Authority;
let next: Authority;
let stranger: Authority;
let renewals: Authority;
let pair: KeyPair;
let folder: string;

beforeAll(async () => {
  const make = { consortium: 'heart', nowMs: NOW, keyBits: 2048, rng };
  const made = await Promise.all([
    createAuthority(make),
    createAuthority(make),
    createAuthority(make),
    createTlsKey(2048),
  ]);
  [root, next, stranger] = made.slice(0, 3).map((one) => openAuthority(one as never)) as [
    Authority,
    Authority,
    Authority,
  ];
  pair = made[3];
  renewals = renewalsOf(root);
  folder = mkdtempSync(join(tmpdir(), 'medley-pki-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function renewalsOf(authority: Authority, days = 90): Authority {
  const { publicKeyPem, privateKeyPem } = pair;
  const certificatePem = certifyRenewal({ authority, publicKeyPem, nowMs: NOW, days, rng });
  return { certificatePem, privateKey: openPrivateKey(privateKeyPem) };
}

const issue = (authority: Authority, role: Role = 'silo', consortium = 'heart') =>
  issueCertificate({
    authority,
    publicKeyPem: pair.publicKeyPem,
    subject: { consortium, role, name: 'st-anna' },
    nowMs: NOW,
    days: 7,
    rng,
  });

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
if (!hasOpenssl) process.stderr.write('openssl is not installed: its verdicts are not compared\n');
const withOpenssl = hasOpenssl ? test : test.skip;

/** What OpenSSL itself says of files; its output when it refuses. */
function openssl(args: readonly string[], files: Readonly<Record<string, string>>): string {
  const paths = Object.entries(files).map(([name, text]) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return [name, path] as const;
  });
  const resolved = args.map((arg) => paths.find(([name]) => name === arg)?.[1] ?? arg);
  try {
    return execFileSync('openssl', resolved, { encoding: 'utf8', stdio: 'pipe' });
  } catch (caught) {
    return (caught as { readonly stderr: string }).stderr;
  }
}

const verify = (leaf: string, untrusted: string, trusted: string): string =>
  openssl(['verify', '-purpose', 'any', '-CAfile', 'ca', '-untrusted', 'chain', 'leaf'], {
    ca: trusted,
    chain: untrusted,
    leaf,
  });

describe('a renewal authority', () => {
  withOpenssl('issues for silos, and OpenSSL and this package believe it', () => {
    const chain = issue(renewals).certificatePem + renewals.certificatePem;
    expect(verifyIssued(chain, root.certificatePem, NOW, 'silo').subject.name).toBe('st-anna');
    expect(verify(leafOf(chain), renewals.certificatePem, root.certificatePem)).toMatch(/: OK/);
    expect(readIssuer(renewals.certificatePem)).toMatchObject({ isRenewal: true });
  });

  withOpenssl('cannot make an operator, a server or another consortium, whatever it signs', () => {
    for (const role of ['operator', 'aggregator', 'audit'] as const) {
      const leaf = issue(renewals, role).certificatePem;
      expect(() => verifyIssued(leaf + renewals.certificatePem, root.certificatePem, NOW)).toThrow(
        coded('PKI_CERTIFICATE_FOREIGN'),
      );
      expect(verify(leaf, renewals.certificatePem, root.certificatePem)).toMatch(
        /permitted subtree violation/,
      );
    }
    expect(() => issue(renewals, 'silo', 'lungs')).toThrow(coded('PKI_AUTHORITY_INVALID'));
  });

  withOpenssl('has no authority below it, and is itself no authority of a consortium', () => {
    expect(() => renewalsOf(renewals)).toThrow(coded('PKI_AUTHORITY_INVALID'));
    const below = certifyRenewal({
      authority: { ...root, privateKey: renewals.privateKey },
      publicKeyPem: pair.publicKeyPem,
      nowMs: NOW,
      days: 9,
      rng,
    });
    expect(verify(below, renewals.certificatePem, root.certificatePem)).not.toMatch(/: OK/);
  });

  test.each<[string, () => string]>([
    ['of another authority', () => renewalsOf(stranger).certificatePem],
    ['that has expired', () => renewalsOf(root, -1).certificatePem],
    ['that is the authority itself', () => root.certificatePem],
  ])('%s vouches for nobody', (_, behind) => {
    const chain = issue(renewals).certificatePem + behind();
    expect(() => verifyIssued(chain, root.certificatePem, NOW)).toThrow(
      coded('PKI_CERTIFICATE_FOREIGN'),
    );
  });

  test('does not let a chain be padded', () => {
    const { certificatePem } = issue(renewals);
    for (const chain of [
      certificatePem + renewals.certificatePem + renewals.certificatePem,
      `note\n${certificatePem}${renewals.certificatePem}`,
    ]) {
      expect(() => verifyIssued(chain, root.certificatePem, NOW)).toThrow(
        coded('PKI_CERTIFICATE_INVALID'),
      );
    }
  });
});

describe('revocation lists, as OpenSSL reads them', () => {
  withOpenssl.each(['authority', 'renewals'] as const)('of the %s revoke what is in them', (by) => {
    const issuer = by === 'authority' ? root : renewals;
    const [bad, good] = [issue(issuer), issue(issuer)];
    const crl = buildCrl({
      authority: issuer,
      revoked: [{ serial: bad.serial, atMs: NOW, reason: 'keyCompromise' }],
      nowMs: NOW - 1000,
      nextUpdateMs: NOW + DAY,
      number: 7,
    });
    expect(openssl(['crl', '-in', 'list', '-noout', '-text'], { list: crl })).toMatch(
      new RegExp(`Serial Number: ${bad.serial}[^]*Key Compromise`, 'i'),
    );
    const check = (leaf: string): string =>
      openssl(
        [
          'verify',
          '-crl_check',
          '-CAfile',
          'ca',
          '-CRLfile',
          'list',
          '-untrusted',
          'chain',
          'leaf',
        ],
        { ca: root.certificatePem, list: crl, chain: renewals.certificatePem, leaf },
      );
    expect(check(bad.certificatePem)).toMatch(/certificate revoked/);
    expect(check(good.certificatePem)).toMatch(/: OK/);
  });
});

describe('the succession of authorities', () => {
  const cross = (): string =>
    crossCertify({ authority: root, successorPem: next.certificatePem, nowMs: NOW, rng });

  withOpenssl('goes on from the pinned key to the next, and both are trusted meanwhile', () => {
    const both = adoptSuccessor(root.certificatePem, next.certificatePem, cross(), NOW);
    for (const authority of [root, next]) {
      expect(verifyIssued(issue(authority).certificatePem, both, NOW).subject.role).toBe('silo');
    }
    expect(adoptSuccessor(both, next.certificatePem, cross(), NOW)).toBe(both);
    // A server of the next authority, seen by somebody who knows the old one only.
    const leaf = issue(next, 'aggregator').certificatePem;
    expect(verify(leaf, cross(), root.certificatePem)).toMatch(/: OK/);
  });

  test('drops an authority that has expired', () => {
    const both = adoptSuccessor(root.certificatePem, next.certificatePem, cross(), NOW);
    expect(() => verifyIssued(issue(root).certificatePem, both, NOW + 4000 * DAY, 'silo')).toThrow(
      coded('PKI_AUTHORITY_INVALID'),
    );
  });

  test('believes no word but that of a known authority for this very key', () => {
    const forged = crossCertify({
      authority: stranger,
      successorPem: next.certificatePem,
      nowMs: NOW,
      rng,
    });
    const adopt = (successor: string, word: string, nowMs = NOW): string =>
      adoptSuccessor(root.certificatePem, successor, word, nowMs);
    const refused = coded('PKI_AUTHORITY_INVALID');
    expect(() => adopt(next.certificatePem, forged)).toThrow(refused);
    expect(() => adopt(stranger.certificatePem, cross())).toThrow(refused);
    expect(() => adopt(next.certificatePem, next.certificatePem)).toThrow(refused);
    expect(() => adopt(next.certificatePem, cross(), NOW - DAY)).toThrow(refused);
    expect(() => adopt(renewals.certificatePem, cross())).toThrow(refused);
  });
});
