import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { MedleyError, readText } from '@medley/kit';
import { openAuthority, readAuthorities, type Authority } from '@medley/pki';
import type { CommandContext } from './context.ts';
import { FILES, type OperatorHome } from './home.ts';

/** Environment variable that names the passphrase file when `--passphrase-file` does not. */
export const PASSPHRASE_VARIABLE = 'MEDLEY_CA_PASSPHRASE_FILE';

/**
 * The passphrase from the file named by option or environment; its last line break does not count.
 * Never an argument: those show in the process list. Throws OPERATOR_PASSPHRASE_MISSING.
 */
export async function readPassphrase(
  { env, cwd }: Pick<CommandContext, 'env' | 'cwd'>,
  file: string | undefined,
): Promise<string> {
  const named = file ?? env[PASSPHRASE_VARIABLE];
  if (!named) throw new MedleyError('OPERATOR_PASSPHRASE_MISSING', 'no passphrase file is named');
  const text = await readText(resolve(cwd, named), 'OPERATOR_PASSPHRASE_MISSING');
  const passphrase = text.replace(/\r?\n$/, '');
  if (passphrase === '') {
    throw new MedleyError('OPERATOR_PASSPHRASE_MISSING', `${named} is empty`);
  }
  return passphrase;
}

/** Whether the home holds the authority's key; an operator without it approves all the same. */
export async function holdsAuthority({ folder }: OperatorHome): Promise<boolean> {
  return access(resolve(folder, FILES.authorityKey)).then(
    () => true,
    () => false,
  );
}

/** The consortium's authority, opened for signing. Throws PKI_* and OPERATOR_HOME_MISSING. */
export async function openHomeAuthority(
  home: OperatorHome,
  passphrase: string,
): Promise<Authority> {
  const file = resolve(home.folder, FILES.authorityKey);
  const privateKeyPem = await readText(file, 'OPERATOR_HOME_MISSING');
  // The first one is in office; one that it took over from may stand behind it.
  const certificatePem = readAuthorities(home.caPem)[0]?.pem ?? '';
  return openAuthority({ certificatePem, privateKeyPem, passphrase });
}
