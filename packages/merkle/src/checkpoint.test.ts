import { describe, expect, test } from '@jest/globals';
import { sha256, toBase64, utf8 } from '@medley/kit';
import {
  addSignatures,
  checkpointText,
  cosignCheckpoint,
  openCheckpoint,
  parseCheckpoint,
  signCheckpoint,
} from './checkpoint.ts';
import { cosignatureMessage } from './cosignature.ts';
import { emptyRoot } from './hash.ts';
import { isSignature, logKeyFromSeed, verifierKeyOf } from './key.ts';
import { signNote } from './note.ts';

const log = logKeyFromSeed('log.example/trail', sha256(utf8('log')));
const otherLog = logKeyFromSeed('log.example/other', sha256(utf8('other')));
const silos = ['a', 'b'].map((name) => logKeyFromSeed(`silo.example/${name}`, sha256(utf8(name))));
const [siloA, siloB] = silos as [typeof log, typeof log];
const keys = [verifierKeyOf('log', log), ...silos.map((silo) => verifierKeyOf('witness', silo))];
const head = { origin: log.name, size: 20_852_163, root: sha256(utf8('root')) };
const signed = signCheckpoint(head, log);
const malformed = expect.objectContaining({ code: 'MERKLE_CHECKPOINT_MALFORMED' });
const missing = expect.objectContaining({ code: 'MERKLE_SIGNATURE_MISSING' });
const invalid = expect.objectContaining({ code: 'MERKLE_SIGNATURE_INVALID' });

describe('signCheckpoint', () => {
  test('signs three lines that open to the same head', () => {
    expect(checkpointText(head)).toBe(`${log.name}\n20852163\n${toBase64(head.root)}\n`);
    expect(openCheckpoint(signed, keys)).toEqual({
      ...head,
      extensions: [],
      signers: [{ role: 'log', key: keys[0] }],
    });
  });

  test('refuses heads that are none and a key with another name', () => {
    for (const wrong of [
      { size: -1 },
      { size: 1.5 },
      { size: 2 ** 53 },
      { root: new Uint8Array(31) },
      { size: 0 },
    ]) {
      expect(() => signCheckpoint({ ...head, ...wrong }, log)).toThrow(malformed);
    }
    expect(() => checkpointText({ ...head, origin: 'a\nb' })).toThrow(malformed);
    expect(() => signCheckpoint(head, otherLog)).toThrow(
      expect.objectContaining({ code: 'MERKLE_KEY_INVALID' }),
    );
    expect(parseCheckpoint(signCheckpoint({ ...head, size: 0, root: emptyRoot() }, log)).size).toBe(
      0,
    );
  });
});

describe('parseCheckpoint', () => {
  const root = toBase64(head.root);

  test('refuses every other form of the three lines', () => {
    for (const body of [
      `${log.name}\n1\n`,
      `\n1\n${root}\n`,
      `${log.name}\n01\n${root}\n`,
      `${log.name}\n+1\n${root}\n`,
      `${log.name}\n1e3\n${root}\n`,
      `${log.name}\n \n${root}\n`,
      `${log.name}\n9007199254740992\n${root}\n`,
      `${log.name}\n99999999999999999999\n${root}\n`,
      `${log.name}\n0\n${root}\n`,
      `${log.name}\n1\n${root.slice(0, -1)}\n`,
      `${log.name}\n1\n${toBase64(new Uint8Array(31))}\n`,
      `${log.name}\n1\n${root}\n\nextension\n`,
    ]) {
      expect(() => parseCheckpoint(signNote(body, log))).toThrow(malformed);
      expect(() => openCheckpoint(signNote(body, log), keys)).toThrow(malformed);
    }
  });

  test('keeps extension lines', () => {
    const text = signNote(`${log.name}\n1\n${root}\none\ntwo\n`, log);
    expect(parseCheckpoint(text).extensions).toEqual(['one', 'two']);
    const cosigned = text + cosignCheckpoint(text, siloA, 5);
    expect(openCheckpoint(cosigned, keys).signers).toHaveLength(2);
    expect(() => openCheckpoint(cosigned.replace('two', 'too'), keys)).toThrow(invalid);
  });
});

describe('openCheckpoint', () => {
  test('refuses a checkpoint that only witnesses or another log signed', () => {
    const foreign = signNote(checkpointText(head), otherLog);
    const cosigned = addSignatures(foreign, cosignCheckpoint(foreign, siloA, 5));
    expect(() => openCheckpoint(cosigned, keys)).toThrow(missing);
    expect(() => openCheckpoint(cosigned, [...keys, verifierKeyOf('log', otherLog)])).toThrow(
      missing,
    );
  });

  test('ignores signatures of unknown keys and types', () => {
    const unknown = `\u2014 ${log.name} ${toBase64(new Uint8Array(2_420).fill(6))}\n`;
    expect(openCheckpoint(signed + unknown, keys).signers).toHaveLength(1);
  });

  test('refuses a changed size, root or origin', () => {
    expect(() => openCheckpoint(signed.replace('20852163', '20852164'), keys)).toThrow(invalid);
    expect(() => openCheckpoint(signed.replace(log.name, otherLog.name), keys)).toThrow(invalid);
  });
});

describe('cosignatures', () => {
  const lines = [
    cosignCheckpoint(signed, siloA, 1_679_315_147),
    cosignCheckpoint(signed, siloB, 1_679_315_150),
  ];

  test('sign the header, the time and the whole text of the checkpoint', () => {
    const { text } = parseCheckpoint(signed).note;
    const message = cosignatureMessage(1_679_315_147, text);
    expect(new TextDecoder().decode(message)).toBe(
      `cosignature/v1\ntime 1679315147\n${checkpointText(head)}`,
    );
    const { payload } = parseCheckpoint(signed + lines[0]!).note.signatures[1]!;
    expect(payload).toHaveLength(72);
    expect(new DataView(payload.buffer).getBigUint64(0)).toBe(1_679_315_147n);
    expect(isSignature(siloA.publicKey, message, payload.subarray(8))).toBe(true);
  });

  test('count once for each witness, with the latest time', () => {
    const later = cosignCheckpoint(signed, siloA, 1_700_000_000);
    const { signers } = openCheckpoint(signed + later + lines.join(''), keys);
    expect(signers).toEqual([
      { role: 'log', key: keys[0] },
      { role: 'witness', key: keys[1], timeS: 1_700_000_000 },
      { role: 'witness', key: keys[2], timeS: 1_679_315_150 },
    ]);
  });

  test('do not hold for another time, another checkpoint or another witness', () => {
    const line = Buffer.from(lines[0]!.split(' ')[2]!, 'base64');
    for (const at of [4 + 7, 4 + 0, 4 + 8, line.length - 1]) {
      const forged = Buffer.from(line);
      forged[at]! ^= 1;
      const text = `${signed}\u2014 ${siloA.name} ${forged.toString('base64')}\n`;
      expect(() => openCheckpoint(text, keys)).toThrow(invalid);
    }
    const next = signCheckpoint({ ...head, size: head.size + 1 }, log);
    expect(() => openCheckpoint(next + lines[0]!, keys)).toThrow(invalid);
    const short = `\u2014 ${siloA.name} ${line.subarray(0, 9).toString('base64')}\n`;
    expect(() => openCheckpoint(signed + short, keys)).toThrow(invalid);
  });

  test('need whole seconds and a checkpoint', () => {
    for (const timeS of [0, -1, 1.5, NaN, 2 ** 53]) {
      expect(() => cosignCheckpoint(signed, siloA, timeS)).toThrow(
        expect.objectContaining({ code: 'MERKLE_RANGE' }),
      );
    }
    expect(() => cosignCheckpoint(signNote('no checkpoint\n', log), siloA, 1)).toThrow(malformed);
  });

  test('are added after the lines there are, none twice', () => {
    const once = addSignatures(signed, lines.join(''));
    expect(once).toBe(signed + lines.join(''));
    expect(addSignatures(once, lines[1]!)).toBe(once);
    expect(() => addSignatures(signed, 'rubbish\n')).toThrow(
      expect.objectContaining({ code: 'MERKLE_NOTE_MALFORMED' }),
    );
  });
});
