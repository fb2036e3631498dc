import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { seededRng, sha256, systemRng, toHex, utf8 } from '@medley/kit';
import { openBlobs, type Blobs } from './blobs.ts';

let folder: string;
let blobs: Blobs;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'medley-blobs-'));
  blobs = await openBlobs(folder, systemRng);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function* pieces(...parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

async function all(source: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const list: Uint8Array[] = [];
  for await (const piece of source) list.push(piece);
  return list;
}

const expected = (bytes: Uint8Array, limitBytes = 2 ** 30) => ({
  hash: toHex(sha256(bytes)),
  sizeBytes: bytes.length,
  limitBytes,
});

describe('the blob store', () => {
  test('gives back what was written, in pieces of 1 MiB and from any offset', async () => {
    const content = seededRng('blob').bytes(2 * 2 ** 20 + 5);
    const name = await blobs.receive(
      pieces(content.subarray(0, 100), content.subarray(100)),
      expected(content),
    );
    expect(name).toEqual({ hash: toHex(sha256(content)), sizeBytes: content.length });
    expect((await all(blobs.read(name.hash))).map((piece) => piece.length)).toEqual([
      2 ** 20,
      2 ** 20,
      5,
    ]);
    expect(await blobs.readAll(name.hash)).toEqual(content);
    const [tail] = await all(blobs.read(name.hash, content.length - 3));
    expect(tail).toEqual(content.subarray(-3));
    expect(await all(blobs.read(name.hash, content.length))).toEqual([]);
  });

  test('is private and idempotent', async () => {
    const name = await blobs.write(utf8('hello'));
    expect(await blobs.write(utf8('hello'))).toEqual(name);
    const file = await stat(join(folder, name.hash.slice(0, 2), name.hash));
    expect(file.mode & 0o777).toBe(0o600);
  });

  test('refuses content of another size or hash and leaves nothing behind', async () => {
    const said = expected(utf8('hello'));
    for (const wrong of ['hell', 'hello!', 'jello']) {
      await expect(blobs.receive(pieces(utf8(wrong)), said)).rejects.toMatchObject({
        code: 'BLOB_MISMATCH',
      });
    }
    await expect(
      blobs.receive(pieces(utf8('hello')), expected(utf8('hello'), 4)),
    ).rejects.toMatchObject({
      code: 'BLOB_TOO_LARGE',
    });
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield utf8('he');
      throw new Error('line cut');
    }
    await expect(blobs.receive(broken(), said)).rejects.toThrow('line cut');
    expect(await readdir(folder)).toEqual([]);
    expect(await blobs.sizeOf(said.hash)).toBeUndefined();
  });

  test('knows no name that is not a SHA-256, so no path leaves the folder', async () => {
    for (const name of [
      '',
      '../../etc/passwd',
      'ab',
      `${'0'.repeat(62)}/.`,
      'g'.repeat(64),
      'a'.repeat(64),
    ]) {
      await expect(all(blobs.read(name))).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
    }
  });

  test('refuses an offset beyond the end', async () => {
    const name = await blobs.write(utf8('hello'));
    await expect(all(blobs.read(name.hash, 6))).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
  });

  test('removes a blob, and one that is not there', async () => {
    const name = await blobs.write(utf8('hello'));
    await blobs.remove(name.hash);
    await blobs.remove(name.hash);
    expect(await blobs.sizeOf(name.hash)).toBeUndefined();
  });

  test('clears what a crash left half-written', async () => {
    await writeFile(join(folder, 'dead.part'), 'x');
    await openBlobs(folder, systemRng);
    expect(await readdir(folder)).toEqual([]);
  });

  test('notices content that has changed on the disk', async () => {
    const { hash } = await blobs.write(utf8('hello'));
    await blobs.verify(hash);
    await writeFile(join(folder, hash.slice(0, 2), hash), 'jello');
    for (const work of [blobs.verify(hash), blobs.readAll(hash), all(blobs.read(hash))]) {
      await expect(work).rejects.toMatchObject({ code: 'BLOB_DAMAGED', message: `blob ${hash}` });
    }
    await blobs.write(utf8('hello'));
    await blobs.verify(hash);
  });

  test('says where it cannot write', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    await expect(openBlobs(file, systemRng)).rejects.toMatchObject({
      code: 'FILE_UNWRITABLE',
      message: `${file} cannot be written (EEXIST)`,
    });
    await rm(folder, { recursive: true });
    await expect(blobs.write(utf8('hello'))).rejects.toMatchObject({ code: 'FILE_UNWRITABLE' });
  });
});
