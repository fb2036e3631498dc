import { resolve } from 'node:path';
import { MedleyError, parseYaml, readText, type JsonSchema } from '@medley/kit';
import type { Endpoints } from '@medley/pki';

/** A server on this machine: the file in which it says where it listens. */
export interface Local {
  readonly endpointsFile: string;
}

/** operator.yaml: what an operator's machine knows of its consortium. Paths are relative to it. */
export interface OperatorConfig {
  readonly apiVersion: 'medley/v1';
  readonly kind: 'Operator';
  readonly consortium: string;
  /** Name of this operator, as in its certificate. */
  readonly operator: string;
  /** Each address `host:port`. */
  readonly aggregator: Local | Endpoints;
  readonly audit: Local | { readonly address: string };
}

const NAME = { type: 'string', pattern: '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$' };
const FILE = { type: 'string', minLength: 1, description: 'Written by a server on this machine.' };
const ADDRESS = { type: 'string', minLength: 3, description: 'host:port of a server elsewhere.' };

/** Either the endpoints file alone or all of `addresses`. */
const server = (...addresses: readonly string[]): object => {
  const properties = Object.fromEntries(addresses.map((name) => [name, ADDRESS]));
  return {
    type: 'object',
    additionalProperties: false,
    properties: { endpointsFile: FILE, ...properties },
    if: { properties: { endpointsFile: {} }, required: ['endpointsFile'] },
    then: { maxProperties: 1 },
    else: { properties, required: addresses },
  };
};

/** JSON Schema of operator.yaml. */
export const OPERATOR_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['apiVersion', 'kind', 'consortium', 'operator', 'aggregator', 'audit'],
  properties: {
    apiVersion: { const: 'medley/v1' },
    kind: { const: 'Operator' },
    consortium: { ...NAME, description: 'Name of the consortium, as in every certificate.' },
    operator: { ...NAME, description: 'Name of this operator, as in its certificate.' },
    aggregator: server('enrolment', 'rounds'),
    audit: server('address'),
  },
};

/** Names of the files in an operator's home. */
export const FILES = {
  config: 'operator.yaml',
  authority: 'ca.pem',
  authorityKey: 'ca.key.pem',
  /** Of a succession under way, and what it leaves. */
  nextAuthority: 'ca.next.pem',
  nextKey: 'ca.next.key.pem',
  oldKey: 'ca.old.key.pem',
  lastAnnounced: 'ca.announced.pem',
  certificate: 'operator.pem',
  key: 'operator.key.pem',
  logKey: 'log.vkey',
} as const;

/** An operator's home, read. */
export interface OperatorHome {
  readonly folder: string;
  readonly config: OperatorConfig;
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
  /** Verifier key of the audit log as text (C2SP signed-note). */
  readonly logVerifierKey: string;
}

/** Reads an operator's home. Throws OPERATOR_HOME_MISSING for any missing file, CONFIG_INVALID. */
export async function openHome(folder: string): Promise<OperatorHome> {
  const text = (name: string): Promise<string> =>
    readText(resolve(folder, name), 'OPERATOR_HOME_MISSING');
  const file = resolve(folder, FILES.config);
  const { value: config } = parseYaml<OperatorConfig>(
    await text(FILES.config),
    file,
    OPERATOR_SCHEMA,
  );
  const [caPem, certPem, keyPem, logKey] = await Promise.all([
    text(FILES.authority),
    text(FILES.certificate),
    text(FILES.key),
    text(FILES.logKey),
  ]);
  return { folder, config, caPem, certPem, keyPem, logVerifierKey: logKey.trim() };
}

/** The aggregator's addresses. Throws OPERATOR_SERVER_DOWN when its endpoints file is missing. */
export async function aggregatorEndpoints(home: OperatorHome): Promise<Endpoints> {
  const { aggregator } = home.config;
  if ('rounds' in aggregator) return aggregator;
  const read = await readEndpoints(home, aggregator);
  return { enrolment: read('enrolment'), rounds: read('rounds') };
}

/** The audit service's address. Throws OPERATOR_SERVER_DOWN when its endpoints file is missing. */
export async function auditAddress(home: OperatorHome): Promise<string> {
  const { audit } = home.config;
  if ('address' in audit) return audit.address;
  return (await readEndpoints(home, audit))('address');
}

/** Gives the addresses of an endpoints file by name. Throws CONFIG_INVALID for one that is not there. */
async function readEndpoints(
  home: OperatorHome,
  { endpointsFile }: Local,
): Promise<(name: string) => string> {
  const file = resolve(home.folder, endpointsFile);
  const text = await readText(file, 'OPERATOR_SERVER_DOWN');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    // Not half-written: servers rename it into place.
    throw new MedleyError('CONFIG_INVALID', `${file} does not hold endpoints`, { cause });
  }
  return (name) => {
    const found = (value as Readonly<Record<string, unknown>> | null)?.[name];
    if (typeof found === 'string') return found;
    throw new MedleyError('CONFIG_INVALID', `${file} names no ${name} address`);
  };
}
