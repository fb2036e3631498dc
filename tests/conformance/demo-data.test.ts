import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { readBytes } from '@medley/kit';
import { readStudy, type Study } from '@medley/study';
import { openDataset } from '../../silo-agent/src/connectors/dataset.ts';
import { openConnectors, readSite } from '../../silo-agent/src/connectors/site.ts';
import { Tally } from '../../silo-agent/src/connectors/tally.ts';

const path = (url: string): string => fileURLToPath(new URL(url, import.meta.url));
const DEMO = '../../deploy/demo';
const SHARED = '../../../shared/data/breast-cancer';
const isSharedHere = existsSync(path(SHARED));
const SITES = ['rotterdam-a', 'rotterdam-b', 'rotterdam-c', 'rotterdam-d', 'gbsg'];

if (!isSharedHere)
  console.warn('skipped: ../shared/data is absent, the source files are not compared');

type Patient = Readonly<Record<string, number | string>>;

async function study(): Promise<Study> {
  return readStudy(await readBytes(path(`${DEMO}/study/study.yaml`)), 'study.yaml');
}

/** A site's patients in the study's words; receptors whole again after their unit conversion. */
async function mapped(site: string): Promise<Patient[]> {
  const tally = new Tally();
  const patients: Patient[] = [];
  for (const connector of openConnectors(await readSite(path(`${DEMO}/sites/${site}.yaml`)))) {
    for await (const { row } of connector.open(await study(), tally)) patients.push(whole(row));
  }
  expect(tally.faults.lines()).toEqual([]);
  return patients;
}

function whole(row: Patient): Patient {
  for (const name of ['pgr', 'er']) {
    expect(Math.abs(Number(row[name]) - Math.round(Number(row[name])))).toBeLessThan(1e-9);
  }
  return { ...row, pgr: Math.round(Number(row['pgr'])), er: Math.round(Number(row['er'])) };
}

/** The source files read without any of our code, straight from their description. */
async function sources(): Promise<Map<string, Patient[]>> {
  const bySite = new Map<string, Patient[]>(SITES.map((site) => [site, []]));
  for (const row of await table('rotterdam.csv')) {
    const year = Number(row['year']);
    const letter = year <= 1985 ? 'a' : year <= 1987 ? 'b' : year <= 1989 ? 'c' : 'd';
    bySite.get(`rotterdam-${letter}`)!.push({
      ...common(row),
      size: row['size']!,
      rfsEvent: Math.max(Number(row['recur']), Number(row['death'])),
      rfsDays: Number(row['recur'] === '1' ? row['rtime'] : row['dtime']),
    });
  }
  for (const row of await table('gbsg.csv')) {
    const mm = Number(row['size']);
    bySite.get('gbsg')!.push({
      ...common(row),
      size: mm <= 20 ? '<=20' : mm <= 50 ? '20-50' : '>50',
      rfsEvent: Number(row['status']),
      rfsDays: Number(row['rfstime']),
    });
  }
  return bySite;
}

async function table(name: string): Promise<Readonly<Record<string, string>>[]> {
  const text = await readFile(path(`${SHARED}/${name}`), 'utf8');
  const [header, ...lines] = text.trim().split('\n');
  const names = header!.split(',');
  return lines.map((line) =>
    Object.fromEntries(line.split(',').map((cell, i) => [names[i]!, cell])),
  );
}

function common(row: Readonly<Record<string, string>>): Patient {
  return {
    age: Number(row['age']),
    menopause: row['meno'] === '1' ? 'post' : 'pre',
    grade: Number(row['grade']),
    nodes: Number(row['nodes']),
    pgr: Number(row['pgr']),
    er: Number(row['er']),
    hormon: row['hormon'] === '1' ? 'yes' : 'no',
  };
}

const whereShared = isSharedHere ? describe : describe.skip;

whereShared('the five sites of the demo', () => {
  test('hold exactly the patients of the sources, in their order', async () => {
    const expected = await sources();
    for (const site of SITES) expect(await mapped(site)).toEqual(expected.get(site));
  });

  test('are what the script makes of the sources, byte for byte', async () => {
    const script = (await import(path(`${DEMO}/data/make.mjs`))) as {
      makeFiles(rotterdam: string, gbsg: string): Record<string, Buffer>;
    };
    const read = (name: string): Promise<string> => readFile(path(`${SHARED}/${name}`), 'utf8');
    const made = script.makeFiles(await read('rotterdam.csv'), await read('gbsg.csv'));
    expect(Object.keys(made)).toHaveLength(5);
    for (const [name, bytes] of Object.entries(made)) {
      expect(Buffer.compare(bytes, await readFile(path(`${DEMO}/data/${name}`)))).toBe(0);
    }
  });
});

describe('the pooled site of the demo', () => {
  test('has the patients and the test patients of the five', async () => {
    const alone = await Promise.all(
      SITES.map(async (site) =>
        openDataset(await readSite(path(`${DEMO}/sites/${site}.yaml`)), await study()),
      ),
    );
    const pooled = await openDataset(
      await readSite(path(`${DEMO}/sites/pooled.yaml`)),
      await study(),
    );
    expect(
      pooled.parts.map(({ id, train, test: held }) => [id, train.length, held.length]),
    ).toEqual(alone.map(({ train, test: held }, i) => [SITES[i], train.length, held.length]));
    expect(pooled.rows).toBe(3264);
    expect(pooled.values).toEqual(Float64Array.from(alone.flatMap(({ values }) => [...values])));
  });
});
