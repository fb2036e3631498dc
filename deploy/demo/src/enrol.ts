import { join } from 'node:path';
import { agentHome, operatorHome, type Box } from './box.ts';
import { fillConnectors, type SiloSource } from './silos.ts';

/**
 * Step 2: five hospitals enrol. Every hospital makes its keys in its own folder; the operator hears
 * the six words of its fingerprint by another channel (here: this program reads them from the
 * hospital's own screen) and certifies exactly that key.
 */
export async function enrolSilos(box: Box, passphraseFile: string): Promise<void> {
  // Two at a time: each makes an RSA-3072 key, and the smallest machines have two cores.
  const waiting = [...box.source.silos];
  const worker = async (): Promise<void> => {
    for (let silo = waiting.shift(); silo; silo = waiting.shift()) {
      await enrolSilo(box, silo, passphraseFile);
    }
  };
  await Promise.all([worker(), worker()]);
}

async function enrolSilo(box: Box, silo: SiloSource, passphraseFile: string): Promise<void> {
  const home = ['--home', agentHome(box, silo)];
  const operator = ['--home', operatorHome(box)];
  await initAgent(box, silo);
  await box.programs.call(
    'medley-agent',
    'data',
    'check',
    ...home,
    '--study-file',
    box.source.studyFile,
  );
  const { token } = await box.programs.call<{ token: string }>(
    'medley',
    ...['silo', 'invite', silo.name, ...operator],
  );
  const { fingerprint } = await box.programs.call<{ fingerprint: string }>(
    'medley-agent',
    ...['enroll', token, '--no-wait', ...home],
  );
  await box.programs.call(
    'medley',
    ...['silo', 'approve', silo.name, '--fingerprint', fingerprint],
    ...['--passphrase-file', passphraseFile, ...operator],
  );
  await box.programs.call('medley-agent', 'enroll', token, ...home);
}

/** Makes an agent's home with this site's connectors in it. */
export async function initAgent(box: Box, silo: SiloSource): Promise<void> {
  const folder = agentHome(box, silo);
  await box.programs.call(
    'medley-agent',
    ...['init', '--site', silo.name, '--name', silo.title, '--home', folder],
  );
  await fillConnectors(join(folder, 'agent.yaml'), silo.file);
}
