import { resolve } from 'node:path';
import { MedleyError, readText, readYaml, type JsonSchema } from '@medley/kit';
import type { Endpoints } from '@medley/pki';

/** Where one server is reached: written down, or read from the file it writes when it listens. */
export interface Reachable {
  readonly endpointsFile?: string;
  readonly address?: string;
  readonly enrolment?: string;
  readonly rounds?: string;
}

/** operator.yaml: what an operator's machine knows of its consortium. Paths are relative to it. */
export interface OperatorConfig {
  readonly apiVersion: 'medley/v1';
  readonly kind: 'Operator';
  readonly consortium: string;
  /** Name of this operator, as in its certificate. */
  readonly operator: string;
  readonly aggregator: Reachable;
  readonly audit: Reachable;
}

const NAME = { type: 'string', pattern: '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$' };
const REACHABLE = {
  type: 'object',
  additionalProperties: false,
  minProperties: 1,
  properties: {
    endpointsFile: { type: 'string' },
    address: { type: 'string' },
    enrolment: { type: 'string' },
    rounds: { type: 'string' },
  },
};

export const OPERATOR_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['apiVersion', 'kind', 'consortium', 'operator', 'aggregator', 'audit'],
  properties: {
    apiVersion: { const: 'medley/v1' },
    kind: { const: 'Operator' },
    consortium: NAME,
    operator: NAME,
    aggregator: REACHABLE,
    audit: REACHABLE,
  },
};

/** Names of the files in an operator's home. */
export const FILES = {
  config: 'operator.yaml',
  authority: 'ca.pem',
  authorityKey: 'ca.key.pem',
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
  /** Verifier key of the audit log, as text. */
  readonly logVerifierKey: string;
}

/** Reads an operator's home. Throws OPERATOR_HOME_MISSING where there is none, CONFIG_* otherwise. */
export async function openHome(folder: string): Promise<OperatorHome> {
  const text = (name: string): Promise<string> =>
    readText(resolve(folder, name), 'OPERATOR_HOME_MISSING');
  await text(FILES.config);
  const { value: config } = await readYaml<OperatorConfig>(
    resolve(folder, FILES.config),
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

/** The aggregator's two addresses. Throws OPERATOR_SERVER_DOWN when its endpoints file is missing. */
export async function aggregatorEndpoints(home: OperatorHome): Promise<Endpoints> {
  const { aggregator } = home.config;
  const known = aggregator.endpointsFile
    ? await readEndpoints(home, aggregator.endpointsFile)
    : aggregator;
  const { enrolment, rounds } = known;
  if (typeof enrolment !== 'string' || typeof rounds !== 'string') {
    throw new MedleyError('CONFIG_INVALID', 'the aggregator needs both enrolment and rounds');
  }
  return { enrolment, rounds };
}

/** The audit service's address. Throws OPERATOR_SERVER_DOWN when its endpoints file is missing. */
export async function auditAddress(home: OperatorHome): Promise<string> {
  const { audit } = home.config;
  const known = audit.endpointsFile ? await readEndpoints(home, audit.endpointsFile) : audit;
  if (typeof known.address !== 'string') {
    throw new MedleyError('CONFIG_INVALID', 'the audit service needs an address');
  }
  return known.address;
}

async function readEndpoints(
  home: OperatorHome,
  file: string,
): Promise<Readonly<Record<string, unknown>>> {
  const text = await readText(resolve(home.folder, file), 'OPERATOR_SERVER_DOWN');
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Falls through to the coded error: a half-written file cannot occur (it is renamed into place).
  }
  throw new MedleyError('CONFIG_INVALID', `${file} does not hold endpoints`);
}
