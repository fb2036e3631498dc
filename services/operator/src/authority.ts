import { resolve } from 'node:path';
import { MedleyError, readText } from '@medley/kit';
import { openAuthority, type Authority } from '@medley/pki';
import { FILES, type OperatorHome } from './home.ts';

/** Environment variable that names the passphrase file when `--passphrase-file` does not. */
export const PASSPHRASE_VARIABLE = 'MEDLEY_CA_PASSPHRASE_FILE';

const MIN_PASSPHRASE = 12;

/**
 * The passphrase from the file named by option or environment; its last line break does not count.
 * Never an argument: those show in the process list. Throws OPERATOR_PASSPHRASE_MISSING.
 */
export async function readPassphrase(
  file: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const named = file ?? env[PASSPHRASE_VARIABLE];
  if (!named) throw new MedleyError('OPERATOR_PASSPHRASE_MISSING', 'no passphrase file is named');
  const passphrase = (await readText(named, 'OPERATOR_PASSPHRASE_MISSING')).replace(/\r?\n$/, '');
  if (passphrase.length < MIN_PASSPHRASE) {
    throw new MedleyError(
      'OPERATOR_PASSPHRASE_MISSING',
      `${named} holds fewer than ${String(MIN_PASSPHRASE)} characters`,
    );
  }
  return passphrase;
}

/** The consortium's authority, opened for signing. Throws PKI_* and OPERATOR_HOME_MISSING. */
export async function openHomeAuthority(
  home: OperatorHome,
  passphrase: string,
): Promise<Authority> {
  const privateKeyPem = await readText(
    resolve(home.folder, FILES.authorityKey),
    'OPERATOR_HOME_MISSING',
  );
  return openAuthority({ certificatePem: home.caPem, privateKeyPem, passphrase });
}
