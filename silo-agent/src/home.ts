import { join } from 'node:path';
import { isMedleyError, MedleyError } from '@medley/kit';
import { readConfig, siteOf, type AgentConfig } from './config.ts';
import type { SiteData } from './connectors/site.ts';
import type { WitnessFiles } from './witness/record.ts';

/** Every path inside an agent's folder. Folders are 0700, files 0600. */
export interface HomePaths {
  readonly folder: string;
  readonly config: string;
  readonly keys: string;
  readonly tlsKey: string;
  readonly identityKey: string;
  readonly witnessKey: string;
  /** What this hospital saw of the consortium's log as its witness. */
  readonly witness: WitnessFiles;
  /** The TLS key of a renewal under way. */
  readonly nextKey: string;
  readonly certificate: string;
  /** A renewed certificate that is not in its place yet. */
  readonly nextCertificate: string;
  readonly authority: string;
  readonly enrolment: string;
  readonly lock: string;
  /** Privacy ledgers, one per data set. To be kept for as long as the data are. */
  readonly budget: string;
  /** Documents, decision and progress of one study. */
  study(id: string): string;
  /** Single-use states of one study's rounds. */
  rounds(study: string): string;
  /** This site's own figures of one study. */
  result(study: string): string;
}

export function homePaths(folder: string): HomePaths {
  return {
    folder,
    config: join(folder, 'agent.yaml'),
    keys: join(folder, 'keys'),
    tlsKey: join(folder, 'keys', 'tls.key.pem'),
    identityKey: join(folder, 'keys', 'identity.key.pem'),
    witnessKey: join(folder, 'keys', 'witness.key.pem'),
    witness: {
      head: join(folder, 'witness', 'head.json'),
      fork: join(folder, 'witness', 'fork.json'),
    },
    nextKey: join(folder, 'keys', 'tls.next.key.pem'),
    certificate: join(folder, 'tls.pem'),
    nextCertificate: join(folder, 'tls.next.pem'),
    authority: join(folder, 'ca.pem'),
    enrolment: join(folder, 'enrolment.json'),
    lock: join(folder, 'run.lock'),
    budget: join(folder, 'budget'),
    study: (id) => join(folder, 'studies', id),
    rounds: (study) => join(folder, 'rounds', study),
    result: (study) => join(folder, 'results', `${study}.json`),
  };
}

/** An agent's folder with its settings. */
export interface AgentHome {
  readonly paths: HomePaths;
  readonly config: AgentConfig;
  readonly site: SiteData;
}

/** Throws AGENT_HOME_MISSING where there is no agent.yaml, CONFIG_INVALID when it is wrong. */
export async function openHome(folder: string): Promise<AgentHome> {
  const paths = homePaths(folder);
  try {
    const config = await readConfig(paths.config);
    return { paths, config, site: siteOf(config, folder) };
  } catch (cause) {
    if (!isMedleyError(cause) || cause.code !== 'CONFIG_UNREADABLE') throw cause;
    throw new MedleyError('AGENT_HOME_MISSING', cause.message, { cause });
  }
}
