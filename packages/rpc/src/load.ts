import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ServiceDefinition } from '@grpc/grpc-js';
import {
  loadSync,
  type MessageTypeDefinition,
  type Options,
  type PackageDefinition,
} from '@grpc/proto-loader';
import { MedleyError } from '@medley/kit';

/**
 * How messages look in memory: camelCase fields, 64-bit integers and enums as strings, absent fields
 * filled with their defaults, `oneof` named. The generator's flags in scripts/gen.mjs say the same;
 * the two change together or the types lie.
 */
export const LOADER_OPTIONS = {
  keepCase: false,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
} as const satisfies Options;

/** The protocol travels with the package: `proto/` stands beside both `src/` and `dist/`. */
const folder = fileURLToPath(new URL('../proto', import.meta.url));

const loaded = once((): PackageDefinition => {
  const files = readdirSync(`${folder}/medley/v1`).filter((name) => name.endsWith('.proto'));
  return loadSync(
    files.map((name) => `medley/v1/${name}`),
    { ...LOADER_OPTIONS, includeDirs: [folder] },
  );
});

/** The service `medley.v1.<name>` as grpc-js wants it. Reads the protocol on first use. */
export function loadService(name: string): ServiceDefinition {
  // proto-loader's union tells services from messages only by the absence of `format`.
  return find(name) as unknown as ServiceDefinition;
}

/** Writer and reader of the message `medley.v1.<name>`. Reads the protocol on first use. */
export function loadMessage<Input extends object, Output>(
  name: string,
): MessageTypeDefinition<Input, Output> {
  return find(name) as unknown as MessageTypeDefinition<Input, Output>;
}

function find(name: string): PackageDefinition[string] {
  const definition = loaded()[`medley.v1.${name}`];
  if (!definition) throw new MedleyError('INTERNAL', `the protocol defines no medley.v1.${name}`);
  return definition;
}

function once<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
