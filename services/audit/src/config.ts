import { dirname, resolve } from 'node:path';
import { readYaml, type JsonSchema } from '@medley/kit';

/** audit.yaml. Paths are relative to the file that names them. */
export interface AuditConfig {
  readonly apiVersion: 'medley/v1';
  readonly kind: 'Audit';
  /** The aggregator's SQLite file; opened read-only. */
  readonly database: string;
  /** `host:port`; port 0 takes a free one, which endpoints.json then names. */
  readonly listen: string;
  /** File that is written when the service listens: {address, pid}. */
  readonly endpointsFile: string;
  readonly tls: { readonly key: string; readonly certificate: string; readonly ca: string };
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
}

const FILE = { type: 'string', minLength: 1 };

/** JSON Schema of audit.yaml; every default stands here. */
export const AUDIT_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['apiVersion', 'kind', 'database', 'tls'],
  properties: {
    apiVersion: { const: 'medley/v1' },
    kind: { const: 'Audit' },
    database: { ...FILE, description: "The aggregator's SQLite file; opened read-only." },
    listen: {
      type: 'string',
      default: '127.0.0.1:7445',
      description: 'host:port; port 0 takes a free one.',
    },
    endpointsFile: {
      ...FILE,
      default: 'endpoints.json',
      description: 'Written when the service listens.',
    },
    tls: {
      type: 'object',
      additionalProperties: false,
      required: ['key', 'certificate', 'ca'],
      properties: { key: FILE, certificate: FILE, ca: FILE },
    },
    logLevel: { enum: ['debug', 'info', 'warn', 'error', 'silent'], default: 'info' },
  },
};

/** Reads audit.yaml and makes its paths absolute. Throws CONFIG_UNREADABLE, CONFIG_INVALID. */
export async function readAuditConfig(file: string): Promise<AuditConfig> {
  const { value } = await readYaml<AuditConfig>(file, AUDIT_SCHEMA);
  const at = (path: string): string => resolve(dirname(file), path);
  const { key, certificate, ca } = value.tls;
  return {
    ...value,
    database: at(value.database),
    endpointsFile: at(value.endpointsFile),
    tls: { key: at(key), certificate: at(certificate), ca: at(ca) },
  };
}
