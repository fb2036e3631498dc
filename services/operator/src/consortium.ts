import { access } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join, relative } from 'node:path';
import { stringify } from 'yaml';
import { MedleyError, writeDurably, type Clock, type Rng } from '@medley/kit';
import { formatVerifierKey, verifierKey } from '@medley/merkle';
import {
  certifyRenewal,
  createAuthority,
  createIdentity,
  createTlsKey,
  encryptPrivateKey,
  issueCertificate,
  openAuthority,
  spkiPin,
  type Authority,
  type Role,
} from '@medley/pki';
import { formatAddress } from '@medley/rpc';
import { FILES, type OperatorConfig } from './home.ts';

/** What `medley consortium init` needs. Folders are absolute. */
export interface NewConsortium {
  readonly consortium: string;
  readonly operator: string;
  readonly home: string;
  readonly aggregatorHome: string;
  readonly auditHome: string;
  /** Host name or IP address under which both servers are dialled. */
  readonly host: string;
  readonly ports: { readonly enrolment: number; readonly rounds: number; readonly audit: number };
  /** Encrypts the authority's key; at least 12 characters. */
  readonly passphrase: string;
  /** How many different operators it takes to approve a hospital. */
  readonly approvals: 1 | 2;
  /** Encrypts the keys of the two servers' homes, which read it from `file`; they are plain without it. */
  readonly serverKeys?: { readonly passphrase: string; readonly file: string };
  /** Length of the RSA keys; default 3072. */
  readonly keyBits?: number;
  readonly clock: Clock;
  readonly rng: Rng;
}

/** What was made, safe to print. */
export interface MadeConsortium {
  readonly consortium: string;
  /** Hex SHA-256 of the authority's SubjectPublicKeyInfo; every invitation carries it. */
  readonly caPin: string;
  /** C2SP signed-note verifier key; every charter carries it. */
  readonly logVerifierKey: string;
  readonly aggregatorConfig: string;
  readonly auditConfig: string;
}

/** Renewals stop when nobody looks after the consortium for a quarter of a year. */
export const RENEWAL_DAYS = 90;
/** A year for servers and operators: they are renewed by hand, on the machine that issued them. */
export const SERVER_DAYS = 365;
/** 128 bits of security (NIST SP 800-57 part 1, table 2). */
const KEY_BITS = 3072;
const PUBLIC = 0o644;
const PRIVATE = 0o600;
/** Files of both servers' homes. */
const SERVER = { key: 'tls.key.pem', certificate: 'tls.pem', ca: 'ca.pem' } as const;
const ENDPOINTS = 'endpoints.json';
const AGGREGATOR = {
  config: 'aggregator.yaml',
  logKey: 'log.key.pem',
  renewalKey: 'renewal.key.pem',
  renewal: 'renewal.pem',
  database: 'medley.db',
} as const;
const AUDIT = { config: 'audit.yaml' } as const;

/**
 * Creates a consortium: the authority with its encrypted key, the renewal authority below it, an operator's certificate, and the
 * homes of aggregator and audit service with keys and configuration. Every key is made here, on one
 * machine, because all three belong to the operator; hospitals make theirs at home. Nothing is
 * written before everything is made, and operator.yaml comes last.
 *
 * Throws OPERATOR_HOME_EXISTS, USAGE for homes that are not three, FILE_UNWRITABLE, and PKI_* for
 * names, host or passphrase that will not do.
 */
export async function createConsortium(options: NewConsortium): Promise<MadeConsortium> {
  const { home, aggregatorHome, auditHome, clock, rng, consortium, passphrase } = options;
  await checkHomes(options);
  const { keyBits = KEY_BITS } = options;
  const made = await createAuthority({ consortium, nowMs: clock.nowMs(), keyBits, rng });
  const caPem = made.certificatePem;
  const caKeyPem = encryptPrivateKey(made.privateKeyPem, passphrase, rng);
  const authority = openAuthority(made);
  const [operator, aggregator, audit] = await Promise.all([
    issue(authority, options, 'operator', options.operator),
    issue(authority, options, 'aggregator', 'aggregator'),
    issue(authority, options, 'audit', 'audit'),
  ]);
  const logKey = createIdentity();
  const renewalKey = await createTlsKey(keyBits);
  const renewalPem = certifyRenewal({
    authority,
    publicKeyPem: renewalKey.publicKeyPem,
    nowMs: clock.nowMs(),
    days: RENEWAL_DAYS,
    rng,
  });
  const sealed = (pem: string): string =>
    options.serverKeys ? encryptPrivateKey(pem, options.serverKeys.passphrase, rng) : pem;
  const log = verifierKey('log', `medley/${consortium}`, logKey.publicKey);
  const logVerifierKey = formatVerifierKey(log);

  await write(aggregatorHome, AGGREGATOR.logKey, sealed(logKey.privateKeyPem));
  await write(aggregatorHome, AGGREGATOR.renewalKey, sealed(renewalKey.privateKeyPem));
  await write(aggregatorHome, AGGREGATOR.renewal, renewalPem, PUBLIC);
  await writeServer(aggregatorHome, { ...aggregator, keyPem: sealed(aggregator.keyPem) }, caPem);
  await write(aggregatorHome, AGGREGATOR.config, aggregatorYaml(options));
  await writeServer(auditHome, { ...audit, keyPem: sealed(audit.keyPem) }, caPem);
  await write(auditHome, AUDIT.config, auditYaml(options));
  await write(home, FILES.authority, caPem, PUBLIC);
  await write(home, FILES.authorityKey, caKeyPem);
  await write(home, FILES.certificate, operator.certificatePem, PUBLIC);
  await write(home, FILES.key, operator.keyPem);
  await write(home, FILES.logKey, `${logVerifierKey}\n`, PUBLIC);
  await write(home, FILES.config, operatorYaml(options));
  return {
    consortium,
    caPin: spkiPin(caPem),
    logVerifierKey,
    aggregatorConfig: join(aggregatorHome, AGGREGATOR.config),
    auditConfig: join(auditHome, AUDIT.config),
  };
}

/** Keys and logs are never overwritten, whatever is left of them. */
async function checkHomes({ home, aggregatorHome, auditHome }: NewConsortium): Promise<void> {
  if (new Set([home, aggregatorHome, auditHome]).size < 3) {
    throw new MedleyError('USAGE', 'operator, aggregator and audit service need a home each');
  }
  const server = Object.values(SERVER);
  for (const file of [
    ...Object.values(FILES).map((name) => join(home, name)),
    ...[...server, ...Object.values(AGGREGATOR)].map((name) => join(aggregatorHome, name)),
    ...[...server, ...Object.values(AUDIT)].map((name) => join(auditHome, name)),
  ]) {
    if (await exists(file)) throw new MedleyError('OPERATOR_HOME_EXISTS', `${file} is there`);
  }
}

interface Issued {
  readonly certificatePem: string;
  readonly keyPem: string;
}

async function issue(
  authority: Authority,
  { consortium, host, clock, rng, keyBits = KEY_BITS }: NewConsortium,
  role: Role,
  name: string,
): Promise<Issued> {
  const key = await createTlsKey(keyBits);
  const isDialled = role === 'aggregator' || role === 'audit';
  const { certificatePem } = issueCertificate({
    authority,
    publicKeyPem: key.publicKeyPem,
    subject: { consortium, role, name },
    ...(isDialled && (isIP(host) === 0 ? { dnsNames: [host] } : { ipAddresses: [host] })),
    nowMs: clock.nowMs(),
    days: SERVER_DAYS,
    rng,
  });
  return { certificatePem, keyPem: key.privateKeyPem };
}

async function writeServer(folder: string, issued: Issued, caPem: string): Promise<void> {
  await write(folder, SERVER.key, issued.keyPem);
  // The chain ends with the authority: a hospital's first contact finds the pinned key in it.
  await write(folder, SERVER.certificate, issued.certificatePem + caPem, PUBLIC);
  await write(folder, SERVER.ca, caPem, PUBLIC);
}

function aggregatorYaml(options: NewConsortium): string {
  const { consortium, host, ports, operator, approvals, serverKeys } = options;
  return yaml('deploy/config/aggregator.full.yaml', {
    apiVersion: 'medley/v1',
    kind: 'Aggregator',
    consortium,
    database: AGGREGATOR.database,
    blobs: 'blobs',
    tls: SERVER,
    logKey: AGGREGATOR.logKey,
    renewal: { key: AGGREGATOR.renewalKey, certificate: AGGREGATOR.renewal },
    ...(serverKeys && { passphraseFile: serverKeys.file }),
    founders: [operator],
    approvals,
    listen: {
      enrolment: listenAddress(host, ports.enrolment),
      rounds: listenAddress(host, ports.rounds),
    },
    publicHost: host,
    endpointsFile: ENDPOINTS,
  });
}

function auditYaml(options: NewConsortium): string {
  const { host, ports, aggregatorHome, auditHome, serverKeys } = options;
  return yaml('deploy/config/audit.full.yaml', {
    apiVersion: 'medley/v1',
    kind: 'Audit',
    database: relative(auditHome, join(aggregatorHome, AGGREGATOR.database)),
    listen: listenAddress(host, ports.audit),
    publicHost: host,
    endpointsFile: ENDPOINTS,
    tls: SERVER,
    ...(serverKeys && { passphraseFile: serverKeys.file }),
  });
}

function operatorYaml(options: NewConsortium): string {
  const { consortium, operator, home, aggregatorHome, auditHome } = options;
  const config: OperatorConfig = {
    apiVersion: 'medley/v1',
    kind: 'Operator',
    consortium,
    operator,
    aggregator: { endpointsFile: relative(home, join(aggregatorHome, ENDPOINTS)) },
    audit: { endpointsFile: relative(home, join(auditHome, ENDPOINTS)) },
  };
  return yaml('deploy/config/operator.full.yaml', config);
}

/** An address is listened on as it is; behind a name, on every interface. */
function listenAddress(host: string, port: number): string {
  if (isIP(host) !== 0) return formatAddress({ host, port });
  return formatAddress({ host: host === 'localhost' ? '127.0.0.1' : '0.0.0.0', port });
}

function yaml(sample: string, value: object): string {
  return `# Written by \`medley consortium init\`. Every setting: ${sample}\n${stringify(value)}`;
}

async function write(folder: string, name: string, content: string, mode = PRIVATE): Promise<void> {
  await writeDurably(join(folder, name), content, { mode });
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false;
  }
}
