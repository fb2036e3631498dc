import { isIP } from 'node:net';
import { access } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { stringify } from 'yaml';
import { MedleyError, writeDurably, type Clock, type Rng } from '@medley/kit';
import { formatVerifierKey, verifierKey } from '@medley/merkle';
import {
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
import { FILES } from './home.ts';

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
  /** Encrypts the authority's key. */
  readonly passphrase: string;
  readonly clock: Clock;
  readonly rng: Rng;
}

/** What was made, safe to print. */
export interface MadeConsortium {
  readonly consortium: string;
  readonly caPin: string;
  readonly logVerifierKey: string;
  readonly aggregatorConfig: string;
  readonly auditConfig: string;
}

/** A year for servers and operators: they are renewed by hand, on the machine that issued them. */
const SERVER_DAYS = 365;
const AGGREGATOR_FILE = 'aggregator.yaml';
const AUDIT_FILE = 'audit.yaml';
const ENDPOINTS = 'endpoints.json';
const PUBLIC = { mode: 0o644 };

interface Issuer {
  readonly authority: Authority;
  readonly options: NewConsortium;
}

/**
 * Creates a consortium: the authority with its encrypted key, an operator's certificate, and the
 * homes of aggregator and audit service with keys and configuration. Every key is made here, on one
 * machine, because all three belong to the operator; hospitals make theirs at home.
 * Throws OPERATOR_HOME_EXISTS and PKI_*.
 */
export async function createConsortium(options: NewConsortium): Promise<MadeConsortium> {
  const { home, aggregatorHome, auditHome, clock, rng, consortium } = options;
  for (const file of [
    join(home, FILES.config),
    join(home, FILES.authority),
    join(aggregatorHome, AGGREGATOR_FILE),
    join(auditHome, AUDIT_FILE),
  ]) {
    if (await exists(file)) throw new MedleyError('OPERATOR_HOME_EXISTS', file);
  }
  const made = await createAuthority({ consortium, nowMs: clock.nowMs(), rng });
  const { certificatePem: caPem } = made;
  const authority = openAuthority(made);
  const issuer = { authority, options };

  await writeDurably(join(home, FILES.authority), caPem, PUBLIC);
  await writeDurably(
    join(home, FILES.authorityKey),
    encryptPrivateKey(made.privateKeyPem, options.passphrase, rng),
  );
  const operator = await issue(issuer, 'operator', options.operator);
  await writeDurably(join(home, FILES.certificate), operator.certificatePem, PUBLIC);
  await writeDurably(join(home, FILES.key), operator.keyPem);

  const logKey = createIdentity();
  const logVerifierKey = formatVerifierKey(
    verifierKey('log', `medley/${consortium}`, logKey.publicKey),
  );
  await writeDurably(join(home, FILES.logKey), `${logVerifierKey}\n`, PUBLIC);
  await writeServer(issuer, 'aggregator', aggregatorHome, caPem);
  await writeDurably(join(aggregatorHome, 'log.key.pem'), logKey.privateKeyPem);
  await writeServer(issuer, 'audit', auditHome, caPem);

  await writeYaml(join(aggregatorHome, AGGREGATOR_FILE), aggregatorConfig(options));
  await writeYaml(join(auditHome, AUDIT_FILE), auditConfig(options));
  await writeYaml(join(home, FILES.config), operatorConfig(options));
  return {
    consortium,
    caPin: spkiPin(caPem),
    logVerifierKey,
    aggregatorConfig: join(aggregatorHome, AGGREGATOR_FILE),
    auditConfig: join(auditHome, AUDIT_FILE),
  };
}

async function issue(
  { authority, options }: Issuer,
  role: Role,
  name: string,
): Promise<{ readonly certificatePem: string; readonly keyPem: string }> {
  const { consortium, host, clock, rng } = options;
  const key = await createTlsKey();
  const isAddress = isIP(host) !== 0;
  const isServer = role === 'aggregator' || role === 'audit';
  const { certificatePem } = issueCertificate({
    authority,
    publicKeyPem: key.publicKeyPem,
    subject: { consortium, role, name },
    ...(isServer && (isAddress ? { ipAddresses: [host] } : { dnsNames: [host] })),
    nowMs: clock.nowMs(),
    days: SERVER_DAYS,
    rng,
  });
  return { certificatePem, keyPem: key.privateKeyPem };
}

async function writeServer(
  issuer: Issuer,
  role: 'aggregator' | 'audit',
  folder: string,
  caPem: string,
): Promise<void> {
  const { certificatePem, keyPem } = await issue(issuer, role, role);
  await writeDurably(join(folder, 'tls.key.pem'), keyPem);
  // The chain ends with the authority: a hospital's first contact finds the pinned key in it.
  await writeDurably(join(folder, 'tls.pem'), certificatePem + caPem, PUBLIC);
  await writeDurably(join(folder, 'ca.pem'), caPem, PUBLIC);
}

function aggregatorConfig({ consortium, host, ports }: NewConsortium): object {
  return {
    apiVersion: 'medley/v1',
    kind: 'Aggregator',
    consortium,
    listen: {
      enrolment: `${listenHost(host)}:${String(ports.enrolment)}`,
      rounds: `${listenHost(host)}:${String(ports.rounds)}`,
    },
    publicHost: host,
  };
}

function auditConfig({ host, ports, aggregatorHome, auditHome }: NewConsortium): object {
  return {
    apiVersion: 'medley/v1',
    kind: 'Audit',
    database: relative(auditHome, join(aggregatorHome, 'medley.db')),
    listen: `${listenHost(host)}:${String(ports.audit)}`,
    tls: { key: 'tls.key.pem', certificate: 'tls.pem', ca: 'ca.pem' },
  };
}

function operatorConfig(options: NewConsortium): object {
  const { consortium, operator, home, aggregatorHome, auditHome } = options;
  return {
    apiVersion: 'medley/v1',
    kind: 'Operator',
    consortium,
    operator,
    aggregator: { endpointsFile: relative(home, join(aggregatorHome, ENDPOINTS)) },
    audit: { endpointsFile: relative(home, join(auditHome, ENDPOINTS)) },
  };
}

/** An address is listened on as it is; behind a name, every interface. */
function listenHost(host: string): string {
  if (isIP(host) === 6) return `[${host}]`;
  return isIP(host) === 4 ? host : '0.0.0.0';
}

async function writeYaml(file: string, value: object): Promise<void> {
  await writeDurably(file, stringify(value));
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false;
  }
}
