import { createPrivateKey } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { MedleyError, readText } from '@medley/kit';
import { logKeyFromPrivateKey, type LogKey } from '@medley/merkle';
import type { AggregatorKeys } from './app.ts';
import type { AggregatorConfig } from './config.ts';

/**
 * Reads the files that the configuration names. Throws FILE_UNREADABLE, and CONFIG_INVALID when the
 * log key is no Ed25519 key or others than its owner may read a private key.
 */
export async function readKeys(config: AggregatorConfig): Promise<AggregatorKeys> {
  const { tls, logKey, consortium } = config;
  await Promise.all([checkPrivate(tls.key), checkPrivate(logKey)]);
  const [tlsKeyPem, tlsChainPem, caPem, logKeyPem] = await Promise.all([
    readText(tls.key),
    readText(tls.certificate),
    readText(tls.ca),
    readText(logKey),
  ]);
  return { tlsKeyPem, tlsChainPem, caPem, logKey: openLogKey(logKeyPem, consortium, logKey) };
}

function openLogKey(pem: string, consortium: string, file: string): LogKey {
  try {
    return logKeyFromPrivateKey(`medley/${consortium}`, createPrivateKey(pem));
  } catch (cause) {
    throw new MedleyError('CONFIG_INVALID', `${file} is not a private Ed25519 key`, { cause });
  }
}

async function checkPrivate(file: string): Promise<void> {
  let mode: number;
  try {
    ({ mode } = await stat(file));
  } catch (cause) {
    throw new MedleyError('FILE_UNREADABLE', `${file} cannot be read`, { cause });
  }
  if ((mode & 0o077) !== 0) {
    throw new MedleyError('CONFIG_INVALID', `${file} may be read by others; chmod 600 it`);
  }
}
