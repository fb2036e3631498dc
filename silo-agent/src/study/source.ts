import { join } from 'node:path';
import { readModelFile } from '@medley/autodiff';
import { readBytes, type Clock } from '@medley/kit';
import { readStudy, type Study } from '@medley/study';
import { withConnection } from '../connection.ts';
import type { AgentHome } from '../home.ts';
import { StudyFolder } from './folder.ts';
import { fetchOffer } from './offer.ts';

/** A study and its forward model, wherever they came from. */
export interface StudyAtHand {
  readonly study: Study;
  readonly model: Uint8Array;
}

/** Reads a study file by itself. Throws FILE_UNREADABLE, STUDY_FILE_INVALID. */
export async function studyFromFile(file: string): Promise<Study> {
  return readStudy(await readBytes(file), file);
}

/**
 * study.yaml and the model it names, in one folder. Throws FILE_UNREADABLE, STUDY_FILE_INVALID, and
 * what reading a model throws.
 */
export async function studyFromFolder(folder: string): Promise<StudyAtHand> {
  const study = await studyFromFile(join(folder, 'study.yaml'));
  return { study, model: readModelFile(join(folder, study.model.file)) };
}

/**
 * A study by name: as this hospital pinned it when it decided, else as the aggregator offers it.
 * Throws what {@link fetchOffer} throws, STUDY_CHANGED.
 */
export async function studyByName(
  home: AgentHome,
  id: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<StudyAtHand> {
  return withConnection(home, clock, async ({ client, site }) => {
    const pinned = await new StudyFolder(home.paths, id, site).read();
    return pinned ?? fetchOffer(client, id, site, signal);
  });
}
