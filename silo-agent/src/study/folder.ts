import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  canonicalBytes,
  fromBase64,
  MedleyError,
  readBytes,
  toBase64,
  writeDurably,
  type JsonSchema,
} from '@medley/kit';
import type { Decision } from '@medley/study';
import { isMissing, readDocument, writeDocument } from '../file.ts';
import type { HomePaths } from '../home.ts';
import { checkDocuments, type SiteIdentity, type StudyDocuments } from './offer.ts';
import {
  checkAllSigned,
  verifyDecision,
  type DecisionBytes,
  type SignedDecision,
} from './signature.ts';

/** A study whose documents this hospital has pinned together with its steward's decision. */
export interface PinnedStudy extends StudyDocuments {
  readonly decision: Decision;
  /** Of the steward's decision, 64 bytes. */
  readonly signature: Uint8Array;
}

interface DecisionFile {
  readonly statement: Decision;
  readonly signature: string;
}

const DECISION_FILE: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['statement', 'signature'],
  properties: { statement: { type: 'object' }, signature: { type: 'string' } },
};

interface SignaturesFile {
  readonly signatures: readonly {
    readonly silo: string;
    readonly statement: string;
    readonly signature: string;
  }[];
}

const text: JsonSchema = { type: 'string' };
const SIGNATURES_FILE: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['signatures'],
  properties: {
    signatures: {
      type: 'array',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['silo', 'statement', 'signature'],
        properties: { silo: text, statement: text, signature: text },
      },
    },
  },
};

/**
 * studies/<id>/: exact bytes of study file, model and charter as they were when the steward decided,
 * and the signed decision. Everything is checked again whenever it is read.
 */
export class StudyFolder {
  readonly folder: string;
  readonly #id: string;
  readonly #site: SiteIdentity;

  constructor(paths: HomePaths, id: string, site: SiteIdentity) {
    this.folder = paths.study(id);
    this.#id = id;
    this.#site = site;
  }

  /** Keeps the documents with the decision; the decision last, so that it never stands alone. */
  async pin(documents: StudyDocuments, { decision, signature }: SignedDecision): Promise<void> {
    await writeDurably(this.#file('study.yaml'), documents.studyBytes);
    await writeDurably(this.#file('model.onnx'), documents.model);
    await writeDurably(this.#file('charter.json'), documents.charterBytes);
    await writeDocument(this.#file('decision.json'), {
      statement: decision,
      signature: toBase64(signature),
    });
  }

  /**
   * The pinned study, undefined when the steward has not decided. Throws STUDY_CHANGED when a file
   * does not fit the signed charter any more, AGENT_STATE_INVALID.
   */
  async read(): Promise<PinnedStudy | undefined> {
    const file = await readDocument<DecisionFile>(this.#file('decision.json'), DECISION_FILE);
    if (!file) return undefined;
    const [studyBytes, charterBytes, model] = await Promise.all(
      ['study.yaml', 'charter.json', 'model.onnx'].map((name) => readBytes(this.#file(name))),
    );
    try {
      // Three names give three contents.
      const documents = checkDocuments(studyBytes!, charterBytes!, model!, this.#site);
      const signature = fromBase64(file.signature) ?? new Uint8Array();
      const decision = verifyDecision(documents.charter, {
        silo: this.#site.silo,
        statement: canonicalBytes(file.statement),
        signature,
      });
      return { ...documents, decision, signature };
    } catch (cause) {
      const why = MedleyError.from(cause);
      throw new MedleyError('STUDY_CHANGED', `${this.folder}: ${why.message}`, { cause });
    }
  }

  /**
   * The steward's word that this hospital leaves, undefined while it takes part. It stands beside the
   * approval, which stays as evidence. Throws AGENT_STATE_INVALID.
   */
  async withdrawal(): Promise<SignedDecision | undefined> {
    const file = await readDocument<DecisionFile>(this.#file('withdrawal.json'), DECISION_FILE);
    if (!file) return undefined;
    return { decision: file.statement, signature: fromBase64(file.signature) ?? new Uint8Array() };
  }

  /** Keeps the withdrawal: from then on no message of this study leaves. */
  async leave({ decision, signature }: SignedDecision): Promise<void> {
    const file = { statement: decision, signature: toBase64(signature) };
    await writeDocument(this.#file('withdrawal.json'), file);
  }

  /** Throws STUDY_LEFT once this hospital has left. */
  async checkPresent(): Promise<void> {
    if (await this.withdrawal()) throw new MedleyError('STUDY_LEFT', `study ${this.#id}`);
  }

  /** The study, if the steward approved it and stays. Throws STUDY_NOT_SIGNED, STUDY_LEFT, STUDY_CHANGED. */
  async approved(): Promise<PinnedStudy> {
    await this.checkPresent();
    const pinned = await this.read();
    if (pinned?.decision.decision !== 'approve') {
      throw new MedleyError('STUDY_NOT_SIGNED', `study ${this.#id}`);
    }
    return pinned;
  }

  /** True once every hospital's approval was verified and kept. Throws DECISION_INVALID, STUDY_UNSIGNED. */
  async hasAllSignatures(pinned: PinnedStudy): Promise<boolean> {
    const file = await readDocument<SignaturesFile>(this.#file('signatures.json'), SIGNATURES_FILE);
    if (!file) return false;
    const bytes = (value: string): Uint8Array => fromBase64(value) ?? new Uint8Array();
    const signatures = file.signatures.map(({ silo, statement, signature }) => ({
      silo,
      statement: bytes(statement),
      signature: bytes(signature),
    }));
    checkAllSigned(pinned.charter, signatures);
    return true;
  }

  /** Verifies and keeps the approvals of all. Throws STUDY_UNSIGNED, DECISION_INVALID. */
  async keepSignatures(pinned: PinnedStudy, signatures: readonly DecisionBytes[]): Promise<void> {
    checkAllSigned(pinned.charter, signatures);
    const file: SignaturesFile = {
      signatures: signatures.map(({ silo, statement, signature }) => ({
        silo,
        statement: toBase64(statement),
        signature: toBase64(signature),
      })),
    };
    await writeDocument(this.#file('signatures.json'), file);
  }

  #file(name: string): string {
    return join(this.folder, name);
  }
}

/** Ids of all studies that this hospital has decided on. */
export async function pinnedStudies(paths: HomePaths): Promise<readonly string[]> {
  try {
    return (await readdir(join(paths.folder, 'studies'))).sort();
  } catch (cause) {
    if (isMissing(cause)) return [];
    throw new MedleyError('FILE_UNREADABLE', `${paths.folder}/studies`, { cause });
  }
}
