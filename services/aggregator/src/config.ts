import { dirname, resolve } from 'node:path';
import { readYaml, type JsonSchema, type LogLevel } from '@medley/kit';
import { SERVER_LIMITS } from '@medley/rpc';

/** aggregator.yaml. Paths are relative to the file that names them. */
export interface AggregatorConfig {
  readonly apiVersion: 'medley/v1';
  readonly kind: 'Aggregator';
  /** Name of the consortium, as in every certificate. */
  readonly consortium: string;
  /** SQLite file; made when missing. */
  readonly database: string;
  /** Folder of the content-addressed blobs; made when missing. */
  readonly blobs: string;
  /** Server key, its certificate chain up to the CA, and the CA that clients must be issued by; PEM. */
  readonly tls: {
    readonly key: string;
    readonly certificate: string;
    readonly ca: string;
    /** The older authority's word for the newer one, while there are two. */
    readonly cross?: string;
  };
  /** Private Ed25519 key of the audit log, PEM (PKCS#8); mode 0600. */
  readonly logKey: string;
  /**
   * Renewal authority, which renews certificates of enrolled silos; without its files nothing is
   * renewed. The certificate is read anew for every renewal.
   */
  readonly renewal: {
    readonly key: string;
    readonly certificate: string;
    /** Life of a renewed certificate, in days. */
    readonly days: number;
    /** How long the certificate before it is still honoured, in minutes. */
    readonly overlapMinutes: number;
  };
  /** File with the passphrase of this machine's keys, where they are encrypted. */
  readonly passphraseFile?: string;
  /** Operators whose accounts are made, with every role, in a store that has none. */
  readonly founders: readonly string[];
  /** How many different operators it takes to approve a silo. */
  readonly approvals: 1 | 2;
  /** `host:port` of the listeners; port 0 takes a free one, which endpoints.json then names. */
  readonly listen: {
    readonly enrolment: string;
    readonly rounds: string;
    /** For programs with API tokens; there is none without it. */
    readonly api?: string;
  };
  /** Host by which silos reach this machine; it stands in endpoints.json and in invitations. */
  readonly publicHost: string;
  /** Written when the aggregator listens: {enrolment, rounds, pid}. */
  readonly endpointsFile: string;
  readonly floors: {
    /** Fewest silos whose updates may be in an opened sum; at least 3. */
    readonly minSurvivors: number;
    /** Fewest silos of a roster; at least 3. */
    readonly minRoster: number;
    /** Fewest training rows that a study may ask of a silo. */
    readonly minPatients: number;
  };
  /** A log with new entries is signed at least this often, in seconds. */
  readonly checkpointSeconds: number;
  /** Part of the enrolled silos that must vouch for a checkpoint before it is final. */
  readonly witnessQuorum: string;
  /** How long a round waits for a silo whose stream broke, in milliseconds. */
  readonly disconnectGraceMs: number;
  /** The same after a start of the aggregator or a study, for silos not seen since, in milliseconds. */
  readonly startGraceMs: number;
  /** Whether masked vectors of closed rounds stay in the blob folder, so that rounds can be replayed. */
  readonly keepMaskedVectors: boolean;
  readonly limits: {
    /** Largest model file that is taken, in bytes. */
    readonly maxModelBytes: number;
    readonly connections: number;
    readonly connectionsPerAddress: number;
    readonly handshakeSeconds: number;
    readonly callsInFlight: number;
    readonly callsPerSecond: number;
  };
  readonly logLevel: LogLevel;
}

const FILE = { type: 'string', minLength: 1 };
const ADDRESS = { type: 'string', minLength: 3 };
const COUNT = { type: 'integer', minimum: 1, maximum: 1_000_000 };
const group = (properties: object, required: readonly string[] = []): object => ({
  type: 'object',
  additionalProperties: false,
  default: {},
  ...(required.length > 0 && { required }),
  properties,
});

/** JSON Schema of aggregator.yaml; every default stands here. */
export const AGGREGATOR_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['apiVersion', 'kind', 'consortium'],
  properties: {
    apiVersion: { const: 'medley/v1' },
    kind: { const: 'Aggregator' },
    consortium: {
      type: 'string',
      pattern: '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$',
      description: 'Name of the consortium, as in every certificate.',
    },
    database: { ...FILE, default: 'medley.db', description: 'SQLite file; made when missing.' },
    blobs: { ...FILE, default: 'blobs', description: 'Folder of models and vectors.' },
    tls: group({
      key: { ...FILE, default: 'tls.key.pem', description: 'Server key, PEM.' },
      certificate: { ...FILE, default: 'tls.pem', description: 'Chain up to the CA, PEM.' },
      ca: { ...FILE, default: 'ca.pem', description: 'Issuer of all certificates, PEM.' },
      cross: { ...FILE, description: "The older authority's word for the newer one, PEM." },
    }),
    renewal: group({
      key: {
        ...FILE,
        default: 'renewal.key.pem',
        description: 'Key of the renewal authority, PEM.',
      },
      certificate: { ...FILE, default: 'renewal.pem', description: 'Its certificate, PEM.' },
      days: { type: 'number', exclusiveMinimum: 0, maximum: 90, default: 7 },
      overlapMinutes: { type: 'number', minimum: 0, maximum: 10_080, default: 60 },
    }),
    passphraseFile: { ...FILE, description: "Passphrase of this machine's encrypted keys." },
    founders: {
      type: 'array',
      minItems: 1,
      items: { type: 'string', pattern: '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$' },
      default: ['operator'],
      description: 'Operators with every role in a store that has no account yet.',
    },
    approvals: {
      enum: [1, 2],
      default: 2,
      description: 'Different operators that it takes to approve a silo.',
    },
    logKey: { ...FILE, default: 'log.key.pem', description: 'Ed25519 key of the log, PEM.' },
    listen: group({
      enrolment: { ...ADDRESS, default: '127.0.0.1:7443', description: 'First contact of silos.' },
      rounds: { ...ADDRESS, default: '127.0.0.1:7444', description: 'Silos and operators.' },
      api: { ...ADDRESS, description: 'Programs with API tokens; absent: none.' },
    }),
    publicHost: {
      type: 'string',
      minLength: 1,
      default: '127.0.0.1',
      description: 'Host by which silos reach this machine.',
    },
    endpointsFile: {
      ...FILE,
      default: 'endpoints.json',
      description: 'Written when the aggregator listens.',
    },
    floors: group({
      minSurvivors: { type: 'integer', minimum: 3, maximum: 200, default: 3 },
      minRoster: { type: 'integer', minimum: 3, maximum: 200, default: 3 },
      minPatients: { type: 'integer', minimum: 1, default: 11 },
    }),
    checkpointSeconds: { type: 'integer', minimum: 1, maximum: 3600, default: 60 },
    witnessQuorum: {
      type: 'string',
      pattern: '^[1-9][0-9]?/[1-9][0-9]?$',
      default: '2/3',
      description: 'Part of the enrolled silos that must vouch for a checkpoint to make it final.',
    },
    disconnectGraceMs: { type: 'integer', minimum: 0, maximum: 600_000, default: 2000 },
    startGraceMs: { type: 'integer', minimum: 0, maximum: 600_000, default: 10_000 },
    keepMaskedVectors: {
      type: 'boolean',
      default: false,
      description: 'Keep masked vectors of closed rounds, so that rounds can be replayed.',
    },
    limits: group({
      maxModelBytes: { type: 'integer', minimum: 1, maximum: 2 ** 31, default: 64 * 2 ** 20 },
      connections: {
        ...COUNT,
        default: SERVER_LIMITS.connections,
        description: 'Connections that a listener has open at a time.',
      },
      connectionsPerAddress: {
        ...COUNT,
        default: SERVER_LIMITS.connectionsPerAddress,
        description: 'The same from one IPv4 address or one IPv6 prefix of 64 bits.',
      },
      handshakeSeconds: {
        type: 'number',
        minimum: 1,
        maximum: 120,
        default: SERVER_LIMITS.handshakeMs / 1000,
        description: 'How long a connection may take until TLS stands.',
      },
      callsInFlight: {
        ...COUNT,
        default: SERVER_LIMITS.callsInFlight,
        description: 'Calls and streams that one caller may have open at a time.',
      },
      callsPerSecond: {
        ...COUNT,
        default: SERVER_LIMITS.callsPerSecond,
        description: 'Calls that one silo, operator or unknown address may begin per second.',
      },
    }),
    logLevel: { enum: ['debug', 'info', 'warn', 'error', 'silent'], default: 'info' },
  },
};

/** Reads aggregator.yaml and makes its paths absolute. Throws CONFIG_UNREADABLE, CONFIG_INVALID. */
export async function readAggregatorConfig(file: string): Promise<AggregatorConfig> {
  const { value } = await readYaml<AggregatorConfig>(file, AGGREGATOR_SCHEMA);
  const at = (path: string): string => resolve(dirname(file), path);
  const { key, certificate, ca, cross } = value.tls;
  const { renewal, passphraseFile } = value;
  return {
    ...value,
    database: at(value.database),
    blobs: at(value.blobs),
    tls: {
      key: at(key),
      certificate: at(certificate),
      ca: at(ca),
      ...(cross !== undefined && { cross: at(cross) }),
    },
    renewal: { ...renewal, key: at(renewal.key), certificate: at(renewal.certificate) },
    ...(passphraseFile !== undefined && { passphraseFile: at(passphraseFile) }),
    logKey: at(value.logKey),
    endpointsFile: at(value.endpointsFile),
  };
}
