import { readCharter, readStudy, type Charter, type Study } from '@medley/study';
import type { StudyRow } from '../store/rows.ts';

/** A study's documents, read. */
export interface Agreement {
  readonly charter: Charter;
  readonly study: Study;
}

/** Reads the documents of studies once; they never change after the proposal. */
export class Agreements {
  readonly #read = new Map<string, Agreement>();

  /** Throws CHARTER_INVALID or STUDY_FILE_INVALID for rows that this program did not write. */
  of(row: Pick<StudyRow, 'name' | 'charterHash' | 'charter' | 'studyFile'>): Agreement {
    const known = this.#read.get(row.charterHash);
    if (known) return known;
    const agreement = {
      charter: readCharter(row.charter),
      study: readStudy(row.studyFile, `${row.name}/study.yaml`),
    };
    this.#read.set(row.charterHash, agreement);
    return agreement;
  }
}

/** Roster index of a silo, undefined when it has no part in the study. */
export function memberIndex(charter: Charter, silo: string): number | undefined {
  return charter.roster.find((member) => member.silo === silo)?.index;
}

/** Name of the silo at a roster index that the protocol has checked. */
export function memberName(charter: Charter, index: number): string {
  return charter.roster[index - 1]?.silo ?? `silo ${String(index)}`;
}
