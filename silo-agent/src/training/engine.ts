import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { buildTraining, Trainer } from '@medley/autodiff';
import { documentHash, sha256, toHex } from '@medley/kit';
import { clippingOf, type Charter, type Study } from '@medley/study';
import { openDataset, type Dataset } from '../connectors/dataset.ts';
import type { SiteData } from '../connectors/site.ts';

interface Kept<T> {
  readonly key: string;
  readonly value: T;
}

/** Graph sessions and rows of the last study, kept between its rounds; another study replaces them. */
export class Engine {
  #trainer: Kept<Trainer> | undefined;
  #dataset: Kept<Dataset> | undefined;

  /** The trainer of the model, built on first use. Throws MODEL_* and TRAINING_*. */
  async trainer(study: Study, charter: Charter, model: Uint8Array): Promise<Trainer> {
    const { loss, optimizer } = study.training;
    const privacy = clippingOf(charter.privacy);
    const { output } = study.model;
    const key = documentHash({
      model: toHex(sha256(model)),
      loss,
      optimizer,
      output,
      privacy: privacy ?? null,
    });
    if (this.#trainer?.key === key) return this.#trainer.value;
    await this.#trainer?.value.close();
    this.#trainer = undefined;
    const options = { loss, optimizer, output, ...(privacy && { privacy }) };
    const value = await Trainer.open(buildTraining(model, options));
    this.#trainer = { key, value };
    return value;
  }

  /** The site's rows for the study, read again when a file changed. Throws DATA_*. */
  async dataset(study: Study, site: SiteData): Promise<Dataset> {
    const key = documentHash({ study, site, versions: await versionsOf(site) });
    if (this.#dataset?.key === key) return this.#dataset.value;
    this.#dataset = undefined;
    const value = await openDataset(site, study);
    this.#dataset = { key, value };
    return value;
  }

  async close(): Promise<void> {
    await this.#trainer?.value.close();
    this.#trainer = undefined;
    this.#dataset = undefined;
  }
}

/** Size and time of each file; absent ones are left for the connector to report. */
async function versionsOf(site: SiteData): Promise<readonly (readonly number[])[]> {
  return Promise.all(
    site.connectors.map(async ({ file }) => {
      const found = await stat(resolve(site.folder, file)).catch(() => undefined);
      return found ? [found.size, found.mtimeMs] : [];
    }),
  );
}
