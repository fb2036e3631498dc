import { chmod, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MedleyError, readText, writeDurably } from '@medley/kit';
import type { WitnessKey } from '@medley/merkle';
import { createIdentity, createTlsKey, openIdentity, type Identity } from '@medley/pki';
import { isMissing } from './file.ts';

/** This hospital's private keys, opened. They were made here and never leave this folder. */
export interface Keys {
  /** PKCS#8 PEM of the RSA key for TLS. */
  readonly tlsKeyPem: string;
  /** Ed25519: signs decisions and round messages. */
  readonly identity: Identity;
}

const TLS_KEY = 'tls.key.pem';
const IDENTITY_KEY = 'identity.key.pem';

/**
 * Opens the keys in `folder`. Throws AGENT_NOT_ENROLLED when there are none, AGENT_KEY_EXPOSED when
 * others on this machine may read one, PKI_KEY_INVALID.
 */
export async function openKeys(folder: string): Promise<Keys> {
  const tlsKeyPem = await readPrivate(join(folder, TLS_KEY));
  const identity = openIdentity(await readPrivate(join(folder, IDENTITY_KEY)));
  return { tlsKeyPem, identity };
}

/**
 * Opens the keys in `folder` and makes those that are missing first, 0600 in a folder of 0700. Throws
 * AGENT_KEY_EXPOSED, PKI_KEY_INVALID, FILE_UNWRITABLE.
 */
export async function ensureKeys(folder: string): Promise<Keys> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  await ensure(join(folder, TLS_KEY), async () => (await createTlsKey()).privateKeyPem);
  await ensure(join(folder, IDENTITY_KEY), async () => createIdentity().privateKeyPem);
  return openKeys(folder);
}

/**
 * The key with which this hospital witnesses the log, made when it is missing: agents that enrolled
 * before there were witnesses have none. Its own, because a cosignature does not name its witness
 * (C2SP tlog-cosignature). Throws AGENT_KEY_EXPOSED, PKI_KEY_INVALID, FILE_UNWRITABLE.
 */
export async function ensureWitnessKey(
  file: string,
  { consortium, silo }: { readonly consortium: string; readonly silo: string },
): Promise<WitnessKey> {
  await ensure(file, async () => createIdentity().privateKeyPem);
  const key = openIdentity(await readPrivate(file));
  const { publicKey } = key;
  const name = `medley/${consortium}/${silo}`;
  return { name, publicKey, sign: (message) => key.sign(message) };
}

async function ensure(file: string, make: () => Promise<string>): Promise<void> {
  try {
    await stat(file);
  } catch (cause) {
    if (!isMissing(cause)) throw MedleyError.from(cause);
    await writeDurably(file, await make(), { mode: 0o600 });
  }
}

async function readPrivate(file: string): Promise<string> {
  const text = await readText(file, 'AGENT_NOT_ENROLLED');
  const { mode } = await stat(file);
  if ((mode & 0o077) !== 0) {
    throw new MedleyError('AGENT_KEY_EXPOSED', `${file} has mode ${(mode & 0o777).toString(8)}`);
  }
  return text;
}
