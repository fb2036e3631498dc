import { stat } from 'node:fs/promises';
import { isMedleyError, MedleyError, readText } from '@medley/kit';
import { logKeyFromPrivateKey, type LogKey } from '@medley/merkle';
import { openAuthority, openPrivateKey, type Authority } from '@medley/pki';
import type { AggregatorKeys } from './app.ts';
import type { AggregatorConfig } from './config.ts';

/**
 * Reads the files that the configuration names; encrypted keys are opened with its passphrase file.
 * Throws FILE_UNREADABLE, CONFIG_INVALID when the log key is no Ed25519 key or others than its owner
 * may read a private file, PKI_PASSPHRASE_WRONG and PKI_KEY_INVALID.
 */
export async function readKeys(config: AggregatorConfig): Promise<AggregatorKeys> {
  const { tls, logKey, consortium, passphraseFile } = config;
  const passphrase = passphraseFile === undefined ? undefined : await secretOf(passphraseFile);
  const [tlsKey, logKeyPem, tlsChainPem, caPem, crossPem] = await Promise.all([
    secretOf(tls.key),
    secretOf(logKey),
    readText(tls.certificate),
    readText(tls.ca),
    tls.cross === undefined ? '' : readText(tls.cross),
  ]);
  return {
    tlsKeyPem: opened(tlsKey, passphrase).export({ type: 'pkcs8', format: 'pem' }).toString(),
    tlsChainPem,
    caPem,
    crossPem,
    logKey: openLogKey(logKeyPem, consortium, logKey, passphrase),
    renewals: renewalsOf(config, passphrase),
  };
}

/** A private file's text, without its last line break. */
async function secretOf(file: string): Promise<string> {
  await checkPrivate(file);
  return (await readText(file)).replace(/\r?\n$/, '');
}

function opened(pem: string, passphrase: string | undefined): ReturnType<typeof openPrivateKey> {
  return openPrivateKey(pem, passphrase);
}

function openLogKey(
  pem: string,
  consortium: string,
  file: string,
  passphrase: string | undefined,
): LogKey {
  const key = opened(pem, passphrase);
  try {
    return logKeyFromPrivateKey(`medley/${consortium}`, key);
  } catch (cause) {
    throw new MedleyError('CONFIG_INVALID', `${file} is not a private Ed25519 key`, { cause });
  }
}

/**
 * The renewal authority as its files have it at each call, so that a new certificate needs no restart;
 * undefined where they are not there. The key is opened once for each text of the files.
 */
function renewalsOf(
  { renewal }: AggregatorConfig,
  passphrase: string | undefined,
): () => Promise<Authority | undefined> {
  let last: { readonly text: string; readonly authority: Authority } | undefined;
  return async () => {
    const files = await Promise.all([secretOf(renewal.key), readText(renewal.certificate)]).catch(
      (caught: unknown) => {
        if (isMedleyError(caught) && caught.code === 'FILE_UNREADABLE') return undefined;
        throw caught;
      },
    );
    if (!files) return undefined;
    const [privateKeyPem, certificatePem] = files;
    const text = files.join('\n');
    if (last?.text !== text) {
      const secret = passphrase === undefined ? {} : { passphrase };
      last = { text, authority: openAuthority({ certificatePem, privateKeyPem, ...secret }) };
    }
    return last.authority;
  };
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
