import { dirname, resolve } from 'node:path';
import { readYaml, type JsonSchema, type LogLevel } from '@medley/kit';

/** audit.yaml. Paths are relative to the file that names them. */
export interface AuditConfig {
  readonly apiVersion: 'medley/v1';
  readonly kind: 'Audit';
  /** The aggregator's SQLite file; opened read-only. */
  readonly database: string;
  /** `host:port`; port 0 takes a free one, which endpoints.json then names. */
  readonly listen: string;
  /** Host by which readers reach this machine; it stands in endpoints.json. */
  readonly publicHost: string;
  /** Written when the service listens: {address, pid}. */
  readonly endpointsFile: string;
  /** Server key, its certificate chain up to the CA, and the CA that clients must be issued by; PEM. */
  readonly tls: { readonly key: string; readonly certificate: string; readonly ca: string };
  /** File with the passphrase of the server key, where that is encrypted. */
  readonly passphraseFile?: string;
  readonly logLevel: LogLevel;
}

const FILE = { type: 'string', minLength: 1 };

/** JSON Schema of audit.yaml; every default stands here. */
export const AUDIT_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['apiVersion', 'kind', 'database'],
  properties: {
    apiVersion: { const: 'medley/v1' },
    kind: { const: 'Audit' },
    database: { ...FILE, description: "The aggregator's SQLite file; opened read-only." },
    listen: {
      type: 'string',
      minLength: 3,
      default: '127.0.0.1:7445',
      description: 'host:port; port 0 takes a free one.',
    },
    publicHost: {
      ...FILE,
      default: '127.0.0.1',
      description: 'Host by which readers reach this machine.',
    },
    endpointsFile: {
      ...FILE,
      default: 'endpoints.json',
      description: 'Written when the service listens.',
    },
    tls: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        key: { ...FILE, default: 'tls.key.pem', description: 'Server key, PEM.' },
        certificate: { ...FILE, default: 'tls.pem', description: 'Chain up to the CA, PEM.' },
        ca: { ...FILE, default: 'ca.pem', description: 'Issuer of all certificates, PEM.' },
      },
    },
    passphraseFile: { ...FILE, description: 'Passphrase of the encrypted server key.' },
    logLevel: { enum: ['debug', 'info', 'warn', 'error', 'silent'], default: 'info' },
  },
};

/** Reads audit.yaml and makes its paths absolute. Throws CONFIG_UNREADABLE, CONFIG_INVALID. */
export async function readAuditConfig(file: string): Promise<AuditConfig> {
  const { value } = await readYaml<AuditConfig>(file, AUDIT_SCHEMA);
  const at = (path: string): string => resolve(dirname(file), path);
  const { key, certificate, ca } = value.tls;
  const { passphraseFile } = value;
  return {
    ...value,
    database: at(value.database),
    endpointsFile: at(value.endpointsFile),
    tls: { key: at(key), certificate: at(certificate), ca: at(ca) },
    ...(passphraseFile !== undefined && { passphraseFile: at(passphraseFile) }),
  };
}
