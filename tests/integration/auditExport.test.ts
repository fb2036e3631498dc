import {
  appendFile,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32, inflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { canonicalBytes, MedleyError, sha256, toHex } from '@medley/kit';
import { readLogFolder } from '@medley/operator';
import { verifyTrail } from '@medley/trail';
import {
  judged,
  remade,
  startExportable,
  STUDY,
  verify,
  type Exportable,
} from '../support/exported.ts';

let hospital: Exportable;
let bundle: string;
let earlier: string;
beforeAll(async () => {
  hospital = await startExportable();
  await mkdir(join(hospital.folder, 'made'), { recursive: true });
  await writeFile(
    join(hospital.folder, 'made', 'events.csv'),
    'index,type\n0,consortium.created\n',
  );
  earlier = join(hospital.folder, 'earlier');
  expect(
    (await hospital.medley('audit', 'export', '--out', 'earlier', '--wait', '0')).err,
  ).not.toContain('✖');
  await hospital.vouch();
  bundle = join(hospital.folder, 'bundle');
  const args = ['--out', 'bundle', '--views', 'made', '--recipient', 'the auditor'];
  const { code, err } = await hospital.medley('audit', 'export', ...args);
  expect([code, err]).toEqual([0, expect.stringContaining('not in it')]);
});
afterAll(() => hospital.close());

const at = (copy: string, path: string): string => join(copy, path);

/** Flips the lowest bit of the byte at `where` (a share of the file), or of the first of `marker`. */
async function flip(file: string, marker?: string): Promise<void> {
  const bytes = await readFile(file);
  const place = marker === undefined ? bytes.length >> 1 : bytes.indexOf(marker) + marker.length;
  bytes[place]! ^= 1;
  await writeFile(file, bytes);
}

describe('a bundle', () => {
  test('passes every claim with Node alone, and says whose word it takes', async () => {
    const own = await verify(bundle);
    expect(own.failing).toEqual([]);
    expect(own.code).toBe(0);
    expect(JSON.parse(own.out)).toMatchObject({ verified: true, trust: { logKey: 'bundle' } });
    const given = await verify(bundle, '--log-key', hospital.logKey);
    expect(JSON.parse(given.out)).toMatchObject({ verified: true, trust: { logKey: 'given' } });
    const charter = await readFile(at(bundle, `charters/${STUDY}/charter.json`));
    const pinned = await verify(bundle, '--charter', toHex(sha256(charter)));
    expect(JSON.parse(pinned.out)).toMatchObject({ verified: true, trust: { logKey: 'given' } });
  });

  test('holds what its name promises, and the log as tlog-tiles', async () => {
    const log = await readLogFolder(bundle);
    expect(verifyTrail({ ...log, verifierKey: hospital.logKey }).ok).toBe(true);
    const names = await readdir(bundle);
    expect(names.sort()).toEqual(
      [
        ...['README.md', 'certificates', 'charters', 'checkpoint', 'checkpoints.json'],
        ...['entries.jsonl', 'keys', 'log.vkey', 'manifest.json', 'manifest.sig', 'proofs'],
        ...['receipt.json', 'roles', 'rounds', 'schemas', 'system', 'tile', 'verify.mjs', 'views'],
      ].sort(),
    );
    const bill = JSON.parse(await readFile(at(bundle, 'system/sbom.cdx.json'), 'utf8')) as {
      bomFormat: string;
      components: { name: string }[];
    };
    expect(bill.bomFormat).toBe('CycloneDX');
    expect(bill.components.map(({ name }) => name)).toContain('commander');
    expect(JSON.stringify(bill)).not.toMatch(/https?:/);
  });

  test.each<[string, readonly string[], number]>([
    ['an empty period', ['--from', '2001-01-01', '--to', '2001-01-31'], 0],
    ['a period to come', ['--from', '2999-01-01'], 0],
    ['one study', ['--study', STUDY], 1],
    ['one hospital', ['--silo', 'cedar'], 1],
  ])('of %s passes too, with the other entries as hashes', async (what, filter, least) => {
    const out = what.replaceAll(' ', '-');
    const { code, out: text } = await hospital.medley(
      ...['audit', 'export', '--out', out, '--wait', '0', '--json', ...filter],
    );
    expect(code).toBe(0);
    const { entries } = JSON.parse(text) as { entries: { inScope: number; withheld: number } };
    expect(entries.inScope).toBeGreaterThanOrEqual(least);
    if (least === 0) expect(entries.inScope).toBe(0);
    // This log has one study, so that nothing is left out of an extract of it.
    expect(entries.withheld > 0).toBe(what !== 'one study');
    const verdict = await verify(join(hospital.folder, out), '--no-witnesses');
    expect(verdict.failing).toEqual([]);
  });

  test('fails its witnesses when too few vouch for its period', async () => {
    await hospital.medley('audit', 'export', '--out', 'unvouched', '--wait', '0');
    const { failing } = await verify(join(hospital.folder, 'unvouched'));
    expect(failing).toEqual(['witnesses']);
  });
});

describe('the command', () => {
  test.each<[string, readonly string[], string]>([
    ['a study that is not there', ['--study', 'nothing'], 'AUDIT_SCOPE_UNKNOWN'],
    ['a hospital that is not there', ['--silo', 'nobody'], 'AUDIT_SCOPE_UNKNOWN'],
    ['a day that is none', ['--from', '2026-02-31'], 'It must be a day'],
    ['a period that runs backwards', ['--from', '2026-03-01', '--to', '2026-01-01'], 'AUDIT_RANGE'],
    ['views that are not there', ['--views', 'nowhere', '--wait', '0'], 'FILE_UNREADABLE'],
  ])('refuses %s and leaves nothing behind', async (_, args, words) => {
    const ended = await hospital.medley('audit', 'export', '--out', 'never', ...args);
    expect(ended.code).not.toBe(0);
    expect(ended.err).toContain(words);
    expect((await readdir(hospital.folder)).filter((name) => /never|partial/.test(name))).toEqual(
      [],
    );
  });

  test('replaces a bundle only when forced, and nothing else ever', async () => {
    const again = ['audit', 'export', '--out', 'earlier', '--wait', '0'];
    expect((await hospital.medley(...again)).err).toContain('AUDIT_EXPORT_EXISTS');
    expect((await hospital.medley('audit', 'export', '--out', 'made', '--force')).err).toContain(
      'AUDIT_EXPORT_EXISTS',
    );
  });
});

describe('whoever changes a bundle on its way', () => {
  test.each<[string, (copy: string) => Promise<unknown>, string]>([
    ['a bit of an entry', (c) => flip(at(c, 'entries.jsonl')), 'inclusion'],
    [
      'a bit of a tile',
      async (c) => flip(at(c, `tile/0/000.p/${(await readdir(at(c, 'tile/0/000.p')))[0]!}`)),
      'completeness',
    ],
    ['a bit of a checkpoint', (c) => flip(at(c, 'checkpoints.json')), 'checkpoints'],
    ['a bit of a charter', (c) => flip(at(c, `charters/${STUDY}/charter.json`)), 'manifest'],
    [
      'a bit of a hospital’s signature',
      (c) => flip(at(c, `charters/${STUDY}/approvals/birch.sig`)),
      'manifest',
    ],
    ['a bit of a receipt', (c) => flip(at(c, `rounds/${STUDY}.jsonl`)), 'manifest'],
    [
      'a bit of a proof',
      (c) => flip(at(c, 'proofs/consistency.json'), '"hashes": [\n      "'),
      'consistency',
    ],
    ['a bit of the manifest', (c) => flip(at(c, 'manifest.json')), 'signature'],
    ['a bit of its signature', (c) => flip(at(c, 'manifest.sig')), 'signature'],
    ['a bit of the export’s receipt', (c) => flip(at(c, 'receipt.json')), 'export'],
    ['a bit of a view', (c) => flip(at(c, 'views/events.csv')), 'manifest'],
    ['a file that is gone', (c) => rm(at(c, 'keys/log.pub.pem')), 'manifest'],
    ['the manifest that is gone', (c) => rm(at(c, 'manifest.json')), 'manifest'],
    [
      'a file that was added',
      (c) => copyFile(at(c, 'README.md'), at(c, 'views/more.md')),
      'manifest',
    ],
    ['a link', (c) => symlink('/etc/hostname', at(c, 'views/link')), 'manifest'],
    ['an entry that is gone', (c) => lines(c, (all) => all.toSpliced(5, 1)), 'inclusion'],
    ['an entry twice', (c) => lines(c, (all) => all.toSpliced(5, 0, all[5]!)), 'inclusion'],
    [
      'entries in another order',
      (c) => lines(c, (all) => all.toSpliced(5, 2, all[6]!, all[5]!)),
      'inclusion',
    ],
    ['entries cut off', (c) => lines(c, (all) => all.slice(0, -4)), 'inclusion'],
    ['half a line', (c) => appendFile(at(c, 'entries.jsonl'), '{"index":9'), 'inclusion'],
    ['the entries of another bundle', (c) => swap(c, 'entries.jsonl'), 'inclusion'],
    ['the manifest of another bundle', (c) => swap(c, 'manifest.json'), 'signature'],
    [
      'manifest and signature of another bundle',
      async (c) => {
        await swap(c, 'manifest.json');
        await swap(c, 'manifest.sig');
      },
      'export',
    ],
    ['the receipt of another bundle', (c) => swap(c, 'receipt.json'), 'export'],
    ['the checkpoints of another bundle', (c) => swap(c, 'checkpoints.json'), 'checkpoints'],
  ])('is found out by %s', async (_, change, claim) => {
    const verdict = await judged(bundle, change);
    expect(verdict.code).toBe(1);
    expect(verdict.failing).toContain(claim);
  });

  const swap = (copy: string, path: string) => copyFile(at(earlier, path), at(copy, path));
  const lines = async (copy: string, change: (all: string[]) => string[]) => {
    const all = (await readFile(at(copy, 'entries.jsonl'), 'utf8')).split('\n').slice(0, -1);
    await writeFile(
      at(copy, 'entries.jsonl'),
      change(all)
        .map((line) => `${line}\n`)
        .join(''),
    );
  };

  test.each<[string, (copy: string) => Promise<unknown>, string]>([
    ['a charter', (c) => flip(at(c, `charters/${STUDY}/charter.json`)), 'copies'],
    ['a signature under it', (c) => flip(at(c, `charters/${STUDY}/approvals/birch.sig`)), 'copies'],
    ['a receipt', (c) => flip(at(c, `rounds/${STUDY}.jsonl`)), 'copies'],
    ['a certificate’s history', (c) => flip(at(c, 'certificates/history.jsonl')), 'copies'],
    ['the log’s key', (c) => flip(at(c, 'keys/log.pub.pem')), 'copies'],
    ['an entry', (c) => lines(c, (all) => all.toSpliced(7, 1)), 'inclusion'],
    ['a word of a hospital', (c) => witnessGone(c), 'witnesses'],
  ])('is found out even with the operator’s key, by %s', async (_, change, claim) => {
    const verdict = await judged(bundle, async (copy) => {
      await change(copy);
      await remade(copy, hospital.operatorKey);
    });
    expect(verdict.code).toBe(1);
    // The log has recorded the manifest that was handed out.
    expect(verdict.failing).toEqual(expect.arrayContaining(['export', claim]));
    expect(verdict.failing).not.toContain('manifest');
    expect(verdict.failing).not.toContain('signature');
  });

  /** Takes one of two cosignatures off every checkpoint. */
  const witnessGone = async (copy: string) => {
    const notes = JSON.parse(await readFile(at(copy, 'checkpoints.json'), 'utf8')) as string[];
    const without = notes.map((note) => note.replace(/^— medley\/test\/birch .*\n/gm, ''));
    await writeFile(at(copy, 'checkpoints.json'), JSON.stringify(without));
    await writeFile(at(copy, 'checkpoint'), without.at(-1)!);
  };
});

describe('a hostile bundle', () => {
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
  test.each<[string, (copy: string) => Promise<unknown>]>([
    ['an empty manifest', (c) => writeFile(at(c, 'manifest.json'), '{}')],
    ['a manifest nested without end', (c) => writeFile(at(c, 'manifest.json'), deep)],
    ['a manifest that climbs', (c) => manifestWith(c, { path: '../../etc/passwd' })],
    ['a manifest of prototypes', (c) => manifestWith(c, { path: '__proto__' })],
    ['entries nested without end', (c) => writeFile(at(c, 'entries.jsonl'), `{"index":0,"leaf":${deep}}\n`)],
    ['a line without end', (c) => writeFile(at(c, 'entries.jsonl'), 'x'.repeat(2 ** 22))],
    ['checkpoints that are none', (c) => writeFile(at(c, 'checkpoints.json'), '[1,{"__proto__":1},null,"\\u0000"]')],
    ['a receipt that is none', (c) => writeFile(at(c, 'receipt.json'), '{"__proto__":{"leaf":1}}')],
    ['a key that is none', (c) => writeFile(at(c, 'keys/operator.pem'), 'nonsense')],
    ['words that steer a terminal', (c) => manifestWith(c, { path: 'views/\u001b[2J' })],
  ])('with %s fails like any other', async (_, change) => {
    const verdict = await judged(bundle, change);
    expect(verdict.code).toBe(1);
    expect(verdict.failing).not.toEqual([]);
    expect(verdict.out).not.toContain('\u001b');
    expect(verdict.out).not.toContain('\n    at ');
  }); // prettier-ignore

  const manifestWith = async (copy: string, change: object) => {
    const text = await readFile(at(copy, 'manifest.json'), 'utf8');
    const manifest = JSON.parse(text) as { files: object[] };
    manifest.files.push({ ...manifest.files[0], ...change });
    await writeFile(at(copy, 'manifest.json'), canonicalBytes(manifest));
  };
});

test('a ZIP file holds the same bundle', async () => {
  const { code } = await hospital.medley('audit', 'export', '--out', 'bundle.zip', '--wait', '0');
  expect(code).toBe(0);
  const folder = join(hospital.folder, 'unpacked');
  await unpack(join(hospital.folder, 'bundle.zip'), folder);
  expect((await verify(folder, '--no-witnesses')).failing).toEqual([]);
});

test('Ctrl-C leaves nothing behind', async () => {
  const stop = new AbortController();
  const running = hospital.medley('audit', 'export', '--out', 'stopped', '--wait', '60', {
    signal: stop.signal,
    stderr: {
      isTTY: true,
      write: (text: string) => {
        if (text.includes('waiting')) stop.abort(new MedleyError('INTERRUPTED', 'SIGINT'));
      },
    },
  });
  expect((await running).code).toBe(130);
  expect((await readdir(hospital.folder)).filter((name) => /stopped|partial/.test(name))).toEqual(
    [],
  );
});

/** Reads a ZIP file by its own directory: another way than it was written. */
async function unpack(file: string, folder: string): Promise<void> {
  const bytes = await readFile(file);
  const end = bytes.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  let place = bytes.readUInt32LE(end + 16);
  for (let i = 0; i < bytes.readUInt16LE(end + 10); i++) {
    const [crc, packed, size] = [16, 20, 24].map((from) => bytes.readUInt32LE(place + from));
    const length = bytes.readUInt16LE(place + 28);
    const path = bytes.toString('utf8', place + 46, place + 46 + length);
    const data = bytes.readUInt32LE(place + 42) + 30 + length;
    const content = inflateRawSync(bytes.subarray(data, data + packed!));
    expect([content.length, crc32(content)]).toEqual([size, crc]);
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
    place += 46 + length;
  }
}

test('another log, another charter and wrong use have codes of their own', async () => {
  const other = hospital.logKey.replace(/^medley\/test/, 'medley/else');
  expect((await verify(bundle, '--log-key', other)).code).toBe(2);
  expect((await verify(bundle, '--charter', '0'.repeat(64))).failing).toEqual(['charters']);
  expect((await verify(bundle, '--authority-pin', '0'.repeat(64))).failing).toEqual(['signature']);
  expect((await verify(join(bundle, 'nowhere'))).code).toBe(2);
  expect((await verify(bundle, '--nonsense')).code).toBe(2);
});
