#!/usr/bin/env node
// Checks an audit bundle of a Medley consortium, offline. One file, built-in modules of Node >= 20 alone,
// and not a line shared with the programs that wrote the bundle.
//
//   node verify.mjs FOLDER [--json] [--log-key FILE|TEXT] [--charter SHA256] [--roster SHA256]
//                          [--authority-pin SHA256] [--no-witnesses]
//   node verify.mjs --explain
//
// Exit codes: 0 every claim holds, 1 a claim fails, 2 wrong use or no folder that can be read.
import {
  createHash,
  createPublicKey,
  verify as verifySignature,
  X509Certificate,
} from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const USAGE = `usage: node verify.mjs FOLDER [--json]
  --log-key FILE|TEXT     the log's verifier key, as every charter and every hospital has it
  --charter SHA256        a charter that a hospital signed; it pins the log key and all keys of its roster
  --roster SHA256         SHA-256 of a charter's roster (canonical JSON), where only that is known
  --authority-pin SHA256  the consortium's authority, if it is no longer the one that the log began with
  --no-witnesses          do not ask that hospitals vouch for the log (logs from before there were witnesses)
  --explain               what each claim means and how to check with sha256sum and openssl alone
exit codes: 0 every claim holds, 1 a claim fails, 2 wrong use or no folder that can be read`;

const CLAIMS = {
  manifest: 'Every file is the one that the manifest lists, none is missing, none was added.',
  signature: 'The manifest is signed by an operator of the consortium.',
  export: 'The log itself records this very bundle, and goes on from the one in it.',
  checkpoints: 'Every checkpoint is signed by the log, and they only grow.',
  completeness:
    'The hashes of ALL entries of the log give the root of every checkpoint: none is left out.',
  inclusion: 'Every entry here stands in the log at its place, and none of the period is missing.',
  consistency: 'Every checkpoint continues the one before: nothing was rewritten between them.',
  witnesses: 'Enough hospitals, each with its own key, vouch for the log as it stands here.',
  charters: 'Every study began only after each hospital of its roster had signed its charter.',
  rounds: 'Rounds belong to studies that had begun, and follow each other as the charter allows.',
  receipts:
    'Every opened sum was confirmed, signed, by enough of the hospitals whose data is in it.',
  models: 'Every round starts from the model that the round before it left.',
  privacy:
    'Every hospital stated, signed, what a noised round cost it, and stayed within the limit.',
  copies: 'The extracts (charters, rounds, privacy, certificates, roles) say what the entries say.',
};

const MAX_FILES = 500_000;
const MAX_DOCUMENT = 256 * 2 ** 20;
const MAX_LINE = 70_000;
const MAX_SHOWN = 3;
const MAX_DEPTH = 64;
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const HEX = /^[0-9a-f]{64}$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const SAFE_PATH =
  /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){0,11}$/;
/** Written after the manifest, which therefore cannot list them. */
const BESIDE = ['manifest.json', 'manifest.sig', 'receipt.json'];

/** Something in the bundle that is not as it should be. */
class Fault extends Error {}
const fault = (what) => {
  throw new Fault(what);
};
const need = (holds, what) => {
  if (!holds) fault(what);
};

class Claim {
  checked = 0;
  faults = 0;
  shown = [];
  note = '';
  constructor(name) {
    this.name = name;
  }
  add(what) {
    this.faults++;
    if (this.shown.length < MAX_SHOWN) this.shown.push(what);
  }
  /** Runs one check and counts it; whatever it throws is a fault. */
  check(where, run) {
    this.checked++;
    try {
      return run();
    } catch (error) {
      this.add(
        `${where}${where ? ': ' : ''}${error instanceof Fault ? error.message : `cannot be checked (${String(error?.message ?? error).slice(0, 200)})`}`,
      );
      return undefined;
    }
  }
  get ok() {
    return this.faults === 0;
  }
  get detail() {
    if (this.ok) return this.note === '' ? CLAIMS[this.name] : this.note;
    const more = this.faults - this.shown.length;
    return this.shown.join('; ') + (more > 0 ? `; and ${more} more` : '');
  }
}

// ---------------------------------------------------------------- bytes, JSON, hashes, signatures

const sha256 = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const hexOf = (...parts) => sha256(...parts).toString('hex');
const u32 = (n) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(n);
  return bytes;
};

function fromBase64(text, length) {
  need(typeof text === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(text), 'not base64');
  const bytes = Buffer.from(text, 'base64');
  need(bytes.toString('base64') === text, 'not base64');
  need(length === undefined || bytes.length === length, `not ${length} bytes of base64`);
  return bytes;
}

function fromHex(text) {
  need(typeof text === 'string' && HEX.test(text), 'not a SHA-256 in hex');
  return Buffer.from(text, 'hex');
}

/** RFC 8785: the one text that a JSON value has. */
function canonical(value, depth = 0) {
  need(depth < MAX_DEPTH, 'JSON is nested too deeply');
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    need(Number.isFinite(value), 'a number is too large');
    return JSON.stringify(value);
  }
  if (typeof value === 'string') {
    need(value.isWellFormed(), 'a text is not Unicode');
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, depth + 1)).join(',')}]`;
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${canonical(key)}:${canonical(value[key], depth + 1)}`).join(',')}}`;
}

function textOf(bytes) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return fault('not UTF-8 text');
  }
}

function parseJson(bytes) {
  const text = textOf(bytes);
  try {
    return JSON.parse(text);
  } catch {
    return fault('not JSON');
  }
}

/** JSON in its one canonical form: no key twice, nothing that another reader could see otherwise. */
function parseCanonical(bytes) {
  const value = parseJson(bytes);
  need(canonical(value) === textOf(bytes), 'not canonical JSON (RFC 8785)');
  return value;
}

const isRecord = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
/** A member that is the object's own, whatever its name. */
function member(record, key) {
  need(isRecord(record), 'not an object');
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
function text(record, key) {
  const value = member(record, key);
  need(typeof value === 'string', `${key} is no text`);
  return value;
}
function whole(record, key) {
  const value = member(record, key);
  need(Number.isSafeInteger(value) && value >= 0, `${key} is no whole number`);
  return value;
}
function real(record, key) {
  const value = member(record, key);
  need(typeof value === 'number' && Number.isFinite(value), `${key} is no number`);
  return value;
}
function list(record, key) {
  const value = member(record, key);
  need(Array.isArray(value), `${key} is no list`);
  return value;
}
function name(record, key) {
  const value = text(record, key);
  need(NAME.test(value), `${key} is no name`);
  return value;
}
function hash(record, key) {
  const value = text(record, key);
  need(HEX.test(value), `${key} is no SHA-256`);
  return value;
}

const SPKI = Buffer.from('302a300506032b6570032100', 'hex');
const keyObjects = new Map();
/** Ed25519 (RFC 8032) of `message` by a raw public key of 32 bytes. */
function isSigned(publicKey, message, signature) {
  const id = publicKey.toString('hex');
  let key = keyObjects.get(id);
  if (key === undefined) {
    key = createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: 'der', type: 'spki' });
    if (keyObjects.size < 10_000) keyObjects.set(id, key);
  }
  return signature.length === 64 && verifySignature(null, message, key, signature);
}
const pemOf = (publicKey) => {
  const body = Buffer.concat([SPKI, publicKey]).toString('base64');
  return `-----BEGIN PUBLIC KEY-----\n${body}\n-----END PUBLIC KEY-----\n`;
};

// ---------------------------------------------------------------- the folder

/** Every path below the folder; links, devices and pipes are faults and are never opened. */
function walk(folder, claim) {
  const found = [];
  const pending = [''];
  while (pending.length > 0) {
    const below = pending.pop();
    for (const entry of readdirSync(join(folder, below), { withFileTypes: true })) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (found.length > MAX_FILES) fault(`more than ${MAX_FILES} files`);
      if (entry.isDirectory() && path.split('/').length < 13) pending.push(path);
      else if (entry.isFile()) found.push(path);
      else claim.add(`${path} is neither file nor folder (links are refused)`);
    }
  }
  return found;
}

function openFile(folder, path) {
  need(SAFE_PATH.test(path), `${path.slice(0, 80)} is no path of a bundle`);
  let handle;
  try {
    handle = openSync(join(folder, path), constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  } catch {
    return fault(`${path} cannot be read`);
  }
  if (fstatSync(handle).isFile()) return handle;
  closeSync(handle);
  return fault(`${path} is no file`);
}

/** The file in pieces of up to a mebibyte; each piece is good until the next is asked for. */
function* piecesOf(folder, path) {
  const handle = openFile(folder, path);
  try {
    const piece = Buffer.alloc(2 ** 20);
    for (;;) {
      const length = readSync(handle, piece, 0, piece.length, null);
      if (length === 0) return;
      yield piece.subarray(0, length);
    }
  } finally {
    closeSync(handle);
  }
}

function readWhole(folder, path, limit = MAX_DOCUMENT) {
  const parts = [];
  let length = 0;
  for (const piece of piecesOf(folder, path)) {
    length += piece.length;
    need(length <= limit, `${path} is larger than ${limit} bytes`);
    parts.push(Buffer.from(piece));
  }
  return Buffer.concat(parts);
}

/** Lines without their newline; the file must end in one. */
function* linesOf(folder, path) {
  let rest = Buffer.alloc(0);
  for (const piece of piecesOf(folder, path)) {
    let bytes = Buffer.concat([rest, piece]);
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10)) {
      yield bytes.subarray(0, end);
      bytes = bytes.subarray(end + 1);
    }
    need(bytes.length <= MAX_LINE, `${path} has a line of more than ${MAX_LINE} bytes`);
    rest = Buffer.from(bytes);
  }
  need(rest.length === 0, `${path} does not end in a newline`);
}

/** `{"index":12,"leaf":…}`: the index and the exact bytes of the entry. */
function readLine(line) {
  const [, head, digits] =
    /^(\{"index":(0|[1-9][0-9]{0,15}),"leaf":)/.exec(line.subarray(0, 64).toString('latin1')) ?? [];
  need(
    head !== undefined && line.at(-1) === 125,
    'a line has another form than {"index":…,"leaf":…}',
  );
  return { index: Number(digits), leaf: line.subarray(head.length, -1) };
}

// ---------------------------------------------------------------- Merkle tree (RFC 6962)

const leafHash = (leaf) => sha256(Buffer.of(0), leaf);
const nodeHash = (left, right) => sha256(Buffer.of(1), left, right);

/** A tree that grows leaf by leaf and keeps the right edge, and every 8th level for its tiles. */
class Tree {
  size = 0;
  edge = [];
  upper = new Map();
  append(hash) {
    let node = { level: 0, hash };
    while (this.edge.at(-1)?.level === node.level) {
      node = { level: node.level + 1, hash: nodeHash(this.edge.pop().hash, node.hash) };
      if (node.level % 8 === 0) {
        const level = node.level / 8;
        if (!this.upper.has(level)) this.upper.set(level, []);
        this.upper.get(level).push(node.hash);
      }
    }
    this.edge.push(node);
    this.size++;
  }
  root() {
    if (this.size === 0) return sha256();
    return this.edge.map((node) => node.hash).reduceRight((right, left) => nodeHash(left, right));
  }
}

/** RFC 9162 section 2.1.3.2. */
function checkInclusion(index, size, leaf, path, root) {
  need(index < size, 'the entry is beyond the tree');
  let [fn, sn, r] = [BigInt(index), BigInt(size) - 1n, leaf];
  for (const p of path) {
    need(sn !== 0n, 'the proof is too long');
    if ((fn & 1n) === 1n || fn === sn) {
      r = nodeHash(p, r);
      while ((fn & 1n) === 0n && fn !== 0n) [fn, sn] = [fn >> 1n, sn >> 1n];
    } else r = nodeHash(r, p);
    [fn, sn] = [fn >> 1n, sn >> 1n];
  }
  need(sn === 0n && r.equals(root), 'the proof does not lead to the root');
}

/** RFC 9162 section 2.1.4.2. */
function checkConsistency(first, second, firstRoot, secondRoot, proof) {
  need(first > 0 && first <= second, 'nothing follows from an empty or a larger tree');
  if (first === second) {
    need(proof.length === 0 && firstRoot.equals(secondRoot), 'two roots of one size');
    return;
  }
  let [fn, sn] = [BigInt(first) - 1n, BigInt(second) - 1n];
  while ((fn & 1n) === 1n) [fn, sn] = [fn >> 1n, sn >> 1n];
  // A first tree whose size is a power of two is a node of the second one.
  const isNode = (BigInt(first) & (BigInt(first) - 1n)) === 0n;
  const path = isNode ? [firstRoot, ...proof] : [...proof];
  need(path.length > 0, 'the proof is empty');
  let [fr, sr] = [path[0], path[0]];
  for (const c of path.slice(1)) {
    need(sn !== 0n, 'the proof is too long');
    if ((fn & 1n) === 1n || fn === sn) {
      [fr, sr] = [nodeHash(c, fr), nodeHash(c, sr)];
      while ((fn & 1n) === 0n && fn !== 0n) [fn, sn] = [fn >> 1n, sn >> 1n];
    } else sr = nodeHash(sr, c);
    [fn, sn] = [fn >> 1n, sn >> 1n];
  }
  need(
    sn === 0n && fr.equals(firstRoot) && sr.equals(secondRoot),
    'the proof does not join the two roots',
  );
}

function hashList(values) {
  need(Array.isArray(values) && values.length <= 256, 'a proof is no list of hashes');
  return values.map((value) => fromBase64(value, 32));
}

/** `000`, `x001/x234/067`, with `.p/17` where the tile is not full (C2SP tlog-tiles). */
function tilePlace(index, width) {
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/g);
  const place = groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
  return width === 256 ? place : `${place}.p/${width}`;
}

function* tilesOf(count) {
  for (let index = 0; index * 256 < count; index++) {
    const width = Math.min(256, count - index * 256);
    yield { index, width, place: tilePlace(index, width) };
  }
}

// ---------------------------------------------------------------- signed notes (C2SP)

/** `name+keyid+base64(type ‖ key)`; type 1 is a log, 4 a witness. */
function readVerifierKey(line, type) {
  const [, keyName, id, body] =
    /^([^+\s]{1,300})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{1,100})$/.exec(line) ?? [];
  need(body !== undefined, 'not a verifier key');
  const material = fromBase64(body, 33);
  need(material[0] === type, 'a verifier key of another type');
  need(
    sha256(`${keyName}\n`, material).subarray(0, 4).toString('hex') === id,
    'a verifier key whose id is wrong',
  );
  return { name: keyName, id, key: material.subarray(1) };
}

function readNote(note) {
  need(typeof note === 'string' && note.length < 2 ** 20, 'a checkpoint is no text');
  const split = note.lastIndexOf('\n\n');
  need(split > 0 && note.endsWith('\n'), 'a checkpoint without signatures');
  const body = note.slice(0, split + 1);
  const signatures = note
    .slice(split + 2, -1)
    .split('\n')
    .map((line) => {
      const [, who, encoded] = /^— ([^+\s]{1,300}) ([A-Za-z0-9+/=]{1,8000})$/u.exec(line) ?? [];
      need(encoded !== undefined, 'a signature line has another form');
      const bytes = fromBase64(encoded);
      need(bytes.length > 4, 'a signature line has another form');
      return { name: who, id: bytes.subarray(0, 4).toString('hex'), payload: bytes.subarray(4) };
    });
  const [origin, size, root, ...more] = body.slice(0, -1).split('\n');
  need(
    /^(0|[1-9][0-9]{0,15})$/.test(size ?? '') && more.length === 0,
    'a checkpoint has another form',
  );
  return { origin, size: Number(size), root: fromBase64(root, 32), body, signatures };
}

/** The head of a checkpoint that this log signed. */
function openCheckpoint(note, logKey) {
  const head = readNote(note);
  need(head.origin === logKey.name, 'a checkpoint of another log');
  const own = head.signatures.filter(
    ({ name: who, id }) => who === logKey.name && id === logKey.id,
  );
  need(own.length === 1, 'a checkpoint that the log key did not sign');
  need(
    isSigned(logKey.key, Buffer.from(head.body), own[0].payload),
    'a checkpoint whose signature is not by the log key',
  );
  need(head.size > 0 || head.root.equals(sha256()), 'an empty tree with a root');
  return { ...head, signature: own[0].payload };
}

// ---------------------------------------------------------------- claims about the files

function checkManifest(claim, folder) {
  const manifest = claim.check('manifest.json', () => {
    const value = parseCanonical(readWhole(folder, 'manifest.json'));
    need(member(value, 'medley') === 'audit-bundle/v1', 'not an audit bundle of version 1');
    name(value, 'consortium');
    const scope = member(value, 'scope');
    const [first, end] = [whole(scope, 'first'), whole(scope, 'end')];
    const size = whole(member(value, 'log'), 'size');
    need(first <= end && end <= size && size > 0, 'the scope is beyond the log');
    list(value, 'files');
    return value;
  });
  const files = new Map();
  if (!manifest) return { manifest: undefined, files };
  let last = '';
  for (const item of manifest.files.slice(0, MAX_FILES)) {
    claim.check('files', () => {
      const path = text(item, 'path');
      need(
        SAFE_PATH.test(path) && !BESIDE.includes(path),
        `${path.slice(0, 80)} is no path of a bundle`,
      );
      need(path > last, `${path}: the list is not in order, or has it twice`);
      last = path;
      files.set(path, { bytes: whole(item, 'bytes'), sha256: hash(item, 'sha256') });
    });
  }
  const present = new Set(claim.check('', () => walk(folder, claim)) ?? []);
  for (const [path, listed] of files) {
    claim.check(path, () => {
      need(present.delete(path), 'is missing');
      const hasher = createHash('sha256');
      let bytes = 0;
      for (const piece of piecesOf(folder, path)) {
        bytes += piece.length;
        need(bytes <= listed.bytes, 'is longer than the manifest says');
        hasher.update(piece);
      }
      need(bytes === listed.bytes, 'is shorter than the manifest says');
      need(hasher.digest('hex') === listed.sha256, 'is another file than the manifest says');
    });
  }
  for (const path of BESIDE) if (!present.delete(path)) claim.add(`${path} is missing`);
  for (const path of present) claim.add(`${path} is not in the manifest`);
  claim.note = `${files.size} files are the ones that the manifest lists`;
  return { manifest, files };
}

function checkSignature(claim, { folder, manifest, options, story }) {
  claim.check('', () => {
    const certificate = new X509Certificate(readWhole(folder, 'keys/operator.pem', 100_000));
    const [, consortium, operator] =
      /(?:^|, )URI:medley:\/\/([a-z0-9-]+)\/operator\/([a-z0-9-]+)(?:,|$)/.exec(
        certificate.subjectAltName ?? '',
      ) ?? [];
    need(
      consortium === manifest.consortium && operator === text(manifest, 'operator'),
      'keys/operator.pem is not the certificate of the operator that the manifest names',
    );
    const key = certificate.publicKey;
    const algorithm = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
    const signature = readWhole(folder, 'manifest.sig', 10_000);
    need(
      verifySignature(algorithm, readWhole(folder, 'manifest.json'), key, signature),
      'manifest.sig is not by the key of keys/operator.pem',
    );
    const pems =
      textOf(readWhole(folder, 'keys/authority.pem', 1_000_000)).match(
        /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g,
      ) ?? [];
    const issuer = pems
      .slice(0, 8)
      .map((pem) => new X509Certificate(pem))
      .find((one) => certificate.checkIssued(one) && certificate.verify(one.publicKey));
    need(issuer !== undefined, 'no authority in keys/authority.pem has issued the certificate');
    need(issuer.ca && issuer.verify(issuer.publicKey), 'the authority is none');
    const pin = hexOf(issuer.publicKey.export({ type: 'spki', format: 'der' }));
    const expected = options.authorityPin ?? story.caPin;
    need(
      pin === expected,
      `the authority ${pin} is not ${expected ?? 'known: the log does not name one'}; if the consortium has changed its authority, hear its pin from a hospital and give it with --authority-pin`,
    );
    const created = Date.parse(text(manifest, 'created'));
    need(
      created >= Date.parse(certificate.validFrom) && created <= Date.parse(certificate.validTo),
      'the certificate was not in force when the bundle was made',
    );
    claim.note = `signed by operator ${operator}, certified by the authority ${pin.slice(0, 16)}…`;
  });
}

function checkExport(claim, { folder, manifest, logKey, newest }) {
  claim.check('receipt.json', () => {
    need(logKey !== undefined && newest !== undefined, 'there is no checkpoint to compare with');
    const receipt = parseCanonical(readWhole(folder, 'receipt.json', 1_000_000));
    const leaf = Buffer.from(text(receipt, 'leaf'));
    const event = parseCanonical(leaf);
    need(
      member(event, 'type') === 'audit.exported' &&
        member(event, 'consortium') === manifest.consortium,
      'the entry is no export of this consortium',
    );
    const data = member(event, 'data');
    const { scope } = manifest;
    need(
      hash(data, 'manifestHash') === hexOf(readWhole(folder, 'manifest.json')),
      'the log records the export of another bundle',
    );
    for (const key of ['first', 'end'])
      need(whole(data, key) === whole(scope, key), 'the log records an export of another scope');
    for (const key of ['study', 'silo'])
      need(
        (member(data, key) ?? null) === (member(scope, key) ?? null),
        'the log records an export of another scope',
      );
    need(whole(data, 'size') === newest.size, 'the log records an export of another size');
    need(
      text(data, 'recipient') === text(manifest, 'recipient'),
      'the log records another recipient',
    );
    need(
      member(member(event, 'actor'), 'id') === manifest.operator,
      'the log records another operator',
    );
    const index = whole(receipt, 'index');
    need(index >= newest.size, 'the export is recorded before what it exports');
    const after = openCheckpoint(text(receipt, 'checkpoint'), logKey);
    checkInclusion(index, after.size, leafHash(leaf), hashList(list(receipt, 'path')), after.root);
    checkConsistency(
      newest.size,
      after.size,
      newest.root,
      after.root,
      hashList(list(receipt, 'consistency')),
    );
    claim.note = `recorded as entry ${index}, for ${JSON.stringify(manifest.recipient)}`;
  });
}

// ---------------------------------------------------------------- claims about the log

function checkCheckpoints(claim, { folder, manifest, options }) {
  const logKey = claim.check('log key', () => {
    const bundled = textOf(readWhole(folder, 'log.vkey', 1000)).trim();
    need(text(manifest.log, 'verifierKey') === bundled, 'log.vkey and the manifest name two keys');
    need(
      options.logKey === undefined || options.logKey === bundled,
      'the bundle is of another log than the one whose key was given',
    );
    return readVerifierKey(options.logKey ?? bundled, 1);
  });
  if (!logKey) return { logKey, heads: [] };
  const notes = claim.check('checkpoints.json', () => {
    const value = parseJson(readWhole(folder, 'checkpoints.json'));
    need(Array.isArray(value) && value.length > 0, 'is no list of checkpoints');
    return value;
  });
  const heads = [];
  for (const [i, note] of (notes ?? []).entries()) {
    const head = claim.check(`checkpoint ${i}`, () => openCheckpoint(note, logKey));
    if (!head) continue;
    const before = heads.at(-1);
    if (before && head.size < before.size)
      claim.add(`checkpoint ${i} is smaller than the one before`);
    if (before && head.size === before.size)
      claim.add(`checkpoint ${i} has the size of the one before`);
    heads.push(head);
  }
  claim.check('checkpoint', () => {
    const newest = heads.at(-1);
    need(newest !== undefined, 'there is none');
    need(
      textOf(readWhole(folder, 'checkpoint', 2 ** 20)) === notes.at(-1),
      'is not the newest of checkpoints.json',
    );
    need(
      newest.size === manifest.log.size &&
        newest.root.toString('base64') === text(manifest.log, 'root'),
      'is not the one that the manifest names',
    );
  });
  claim.note = `${heads.length} checkpoints are signed by ${logKey.name}`;
  return { logKey, heads };
}

/** The leaf hashes of the whole log, from the tiles; every root is derived from them. */
function checkCompleteness(claim, { folder, files, heads }) {
  const size = heads.at(-1)?.size ?? 0;
  const tree = new Tree();
  const leaves = [];
  const expected = new Set();
  let next = 0;
  const meet = () => {
    for (; next < heads.length && heads[next].size <= tree.size; next++) {
      const head = heads[next];
      claim.check(`checkpoint of ${head.size} entries`, () => {
        need(
          head.size === tree.size && tree.root().equals(head.root),
          'the hashes of its entries give another root',
        );
      });
    }
  };
  claim.check('tiles', () => {
    need(size > 0, 'there is no checkpoint');
    meet();
    for (const { width, place } of tilesOf(size)) {
      const path = `tile/0/${place}`;
      const bytes = readWhole(folder, path, 8192);
      need(bytes.length === width * 32, `${path} does not hold ${width} hashes`);
      expected.add(path);
      leaves.push(bytes);
      for (let at = 0; at < bytes.length; at += 32) {
        tree.append(bytes.subarray(at, at + 32));
        meet();
      }
    }
  });
  if (next < heads.length) claim.add('checkpoints go beyond the hashes that are here');
  for (const [level, hashes] of tree.upper) {
    for (const { index, width, place } of tilesOf(hashes.length)) {
      const path = `tile/${level}/${place}`;
      expected.add(path);
      claim.check(path, () => {
        const own = Buffer.concat(hashes.slice(index * 256, index * 256 + width));
        need(readWhole(folder, path, 8192).equals(own), 'does not follow from the tiles below it');
      });
    }
  }
  for (const path of files.keys()) {
    if (/^tile\/\d/.test(path) && !expected.has(path))
      claim.add(`${path} belongs to no tile of this log`);
  }
  claim.note = `the hashes of all ${tree.size} entries give the roots of all ${heads.length} checkpoints`;
  return (index) => {
    const at = (index % 256) * 32;
    return index >= 0 && index < tree.size
      ? leaves[Math.floor(index / 256)].subarray(at, at + 32)
      : undefined;
  };
}

function checkAllConsistency(claim, { folder, heads }) {
  const proofs = claim.check('proofs/consistency.json', () => {
    const value = parseJson(readWhole(folder, 'proofs/consistency.json'));
    need(Array.isArray(value), 'is no list of proofs');
    return value;
  });
  const sound = heads.filter(({ size }) => size > 0);
  sound.slice(1).forEach((head, i) => {
    const before = sound[i];
    claim.check(`from ${before.size} to ${head.size} entries`, () => {
      const proof = proofs?.[i];
      need(
        isRecord(proof) && proof.from === before.size && proof.to === head.size,
        'there is no proof',
      );
      checkConsistency(
        before.size,
        head.size,
        before.root,
        head.root,
        hashList(list(proof, 'hashes')),
      );
    });
  });
  if (proofs && proofs.length !== Math.max(0, sound.length - 1))
    claim.add('there are proofs of other checkpoints');
  claim.note = `${Math.max(0, sound.length - 1)} steps from one checkpoint to the next are proven`;
}

/** Reads every entry once, in order, and hands it to the story. */
function checkInclusionOfAll(claim, { folder, manifest, files, hashAt, size, story, copies }) {
  const { scope } = manifest;
  const [first, end] = [scope.first, scope.end];
  const isFiltered = member(scope, 'study') != null || member(scope, 'silo') != null;
  let [last, inRange, delivered] = [-1, 0, 0];
  const borders = new Map();
  claim.check('entries.jsonl', () => {
    for (const line of linesOf(folder, 'entries.jsonl')) {
      claim.check(`entry after ${last}`, () => {
        const { index, leaf } = readLine(line);
        need(index > last, `entry ${index} is out of order, or twice`);
        last = index;
        const expected = hashAt(index);
        need(
          expected !== undefined && leafHash(leaf).equals(expected),
          `entry ${index} is not the one that stands in the log there`,
        );
        const event = parseCanonical(leaf);
        const at = text(event, 'at');
        need(INSTANT.test(at), `entry ${index} has no time`);
        need(
          member(event, 'consortium') === manifest.consortium,
          `entry ${index} is of another consortium`,
        );
        delivered++;
        if (index >= first && index < end) inRange++;
        if (index === first - 1 || index === end) borders.set(index, at);
        if (index >= first && index < end && !isFiltered) {
          // Clocks may step back within the period, so only its borders are strict.
          if (index === first)
            need(!scope.from || at >= scope.from, `entry ${index} is before the period`);
          if (index === end - 1)
            need(!scope.to || at < scope.to, `entry ${index} is after the period`);
        }
        story.read(index, event);
        copies.read(index, event, line);
      });
    }
  });
  if (scope.from == null && first !== 0)
    claim.add('the period has no beginning, and entries before it are left out');
  if (scope.to == null && end !== size)
    claim.add('the period has no end, and entries after it are left out');
  for (const key of ['from', 'to'])
    if (scope[key] != null && !(typeof scope[key] === 'string' && INSTANT.test(scope[key])))
      claim.add(`the period's ${key} is no time`);
  if (first > 0)
    claim.check('beginning of the period', () =>
      need(
        borders.has(first - 1) && borders.get(first - 1) < scope.from,
        'the entry before it is not shown, or belongs to it',
      ),
    );
  if (end < size)
    claim.check('end of the period', () =>
      need(
        borders.has(end) && borders.get(end) >= scope.to,
        'the entry after it is not shown, or belongs to it',
      ),
    );
  if (!isFiltered && inRange !== end - first)
    claim.add(
      `of ${end - first} entries of the period ${inRange} are here, and no filter says why`,
    );
  const counts = member(manifest, 'entries');
  claim.check('manifest', () => {
    need(
      whole(counts, 'delivered') === delivered &&
        whole(counts, 'inScope') <= inRange &&
        whole(counts, 'withheld') === size - delivered,
      'the manifest counts other entries',
    );
  });
  claim.check('entry bundles', () => {
    const bundles = [...files.keys()].filter((path) => path.startsWith('tile/entries/'));
    if (bundles.length === 0) return;
    need(delivered === size, 'there are bundles although entries are withheld');
    let index = 0;
    const wanted = new Set();
    for (const { width, place } of tilesOf(size)) {
      const path = `tile/entries/${place}`;
      wanted.add(path);
      const bytes = readWhole(folder, path, 256 * 65_537);
      let at = 0;
      for (let i = 0; i < width; i++, index++) {
        need(at + 2 <= bytes.length, `${path} is cut`);
        const stop = at + 2 + bytes.readUInt16BE(at);
        need(stop <= bytes.length, `${path} is cut`);
        need(
          leafHash(bytes.subarray(at + 2, stop)).equals(hashAt(index)),
          `${path} holds another entry ${index}`,
        );
        at = stop;
      }
      need(at === bytes.length, `${path} holds more than its entries`);
    }
    need(
      bundles.every((path) => wanted.has(path)),
      'a bundle belongs to no entries of this log',
    );
  });
  const withheld = size - delivered;
  claim.note = `${delivered} entries stand in the log at their places${withheld > 0 ? `; ${withheld} others are here as hashes alone${isFiltered ? ', some of them of the period: ask for any by its number' : ''}` : ''}`;
}

function checkWitnesses(claim, { manifest, heads, story, options }) {
  const { end } = manifest.scope;
  let final = 0;
  let checked = 0;
  for (const head of heads) {
    const names = new Set();
    for (const signature of head.signatures) {
      const witness = story.witnesses.get(`${signature.name} ${signature.id}`);
      if (!witness) continue;
      checked++;
      claim.check(`checkpoint of ${head.size} entries`, () => {
        need(signature.payload.length === 72, `the word of ${witness.silo} has another form`);
        const time = signature.payload.readBigUInt64BE(0);
        const message = Buffer.from(`cosignature/v1\ntime ${time}\n${head.body}`);
        need(
          isSigned(witness.key, message, signature.payload.subarray(8)),
          `the word of ${witness.silo} is not by its key`,
        );
        names.add(witness.silo);
      });
    }
    const enrolled = story.enrolledAt(head.size);
    const [numerator, denominator] = story.quorumAt(head.size);
    const required = Math.max(1, Math.ceil((enrolled.size * numerator) / denominator));
    const vouching = [...names].filter((silo) => enrolled.has(silo)).length;
    if (enrolled.size === 0 || vouching >= required) final = Math.max(final, head.size);
  }
  claim.checked = Math.max(claim.checked, checked);
  claim.note = `hospitals vouch for entries 0 to ${final - 1}: ${checked} cosignatures hold`;
  for (const problem of story.witnessFaults) claim.add(problem);
  if (final >= end) return;
  const what =
    final === 0
      ? 'no checkpoint has the words of enough hospitals'
      : `enough hospitals vouch for the first ${final} entries, not for all ${end} of the period`;
  if (options.witnesses) claim.add(what);
  else claim.note = `not asked for (--no-witnesses): ${what}`;
}

// ---------------------------------------------------------------- what the entries say

const DECISIONS = {
  'charter.signed': [
    'approve',
    'I have read this charter and approve that this hospital takes part in the study under its terms.',
  ],
  'charter.refused': [
    'refuse',
    'I have read this charter and refuse that this hospital takes part in the study.',
  ],
  'charter.withdrawn': [
    'withdraw',
    'This hospital leaves the study from now on; what it has sent before stays in the sums.',
  ],
};

/** What is known of the consortium while its entries are read in order. */
class Story {
  caPin;
  witnesses = new Map();
  witnessFaults = [];
  studies = new Map();
  rosters = new Set();
  #identity = new Map();
  #members = [];
  #quorums = [];
  constructor(claims, manifest, logKeyText) {
    this.claims = claims;
    this.silo = member(manifest.scope, 'silo') ?? null;
    this.consortium = manifest.consortium;
    this.logKeyText = logKeyText;
  }

  enrolledAt(size) {
    const names = new Set();
    for (const { index, silo, isIn } of this.#members) {
      if (index >= size) break;
      if (isIn) names.add(silo);
      else names.delete(silo);
    }
    return names;
  }

  quorumAt(size) {
    return (
      this.#quorums.findLast(({ index }) => index < size)?.quorum ??
      this.#quorums[0]?.quorum ?? [2, 3]
    );
  }

  read(index, event) {
    const type = text(event, 'type');
    const data = member(event, 'data');
    need(isRecord(data), `entry ${index} has no data`);
    const where = `entry ${index}`;
    if (type === 'consortium.created') {
      if (this.caPin === undefined) this.caPin = text(data, 'caPin');
      if (text(data, 'logKey') !== this.logKeyText)
        this.claims.checkpoints.add(`${where}: the log began under another key`);
    } else if (type === 'consortium.setting') this.#setting(index, data);
    else if (type === 'silo.approved') {
      this.#members.push({ index, silo: name(data, 'silo'), isIn: true });
      this.#identity.set(data.silo, hash(data, 'identityKeyHash'));
    } else if (type === 'silo.revoked')
      this.#members.push({ index, silo: name(data, 'silo'), isIn: false });
    else if (type === 'witness.registered') this.#witness(where, data);
    else if (type === 'privacy.spent')
      this.claims.privacy.check(where, () => this.#spent(event, data));
    else if (Object.hasOwn(DECISIONS, type))
      this.claims.charters.check(where, () => this.#decided(type, event, data));
    else if (type === 'study.started')
      this.claims.charters.check(where, () => this.#started(event, data));
    else if (type.startsWith('study.'))
      this.claims.rounds.check(where, () => this.#moved(type, event, data));
    else if (type.startsWith('round.')) this.#round(where, type, event, data);
    else if (type.startsWith('model.'))
      this.claims.models.check(where, () => this.#model(type, event, data));
  }

  #study(event) {
    const own = name(event, 'study');
    if (!this.studies.has(own)) {
      this.studies.set(own, {
        name: own,
        decisions: new Map(),
        opened: new Map(),
        aborted: new Set(),
        rolled: new Set(),
        states: new Set(),
        spent: new Map(),
        stated: new Set(),
        left: new Set(),
      });
    }
    return this.studies.get(own);
  }

  #setting(index, data) {
    if (text(data, 'name') !== 'witnessQuorum') return;
    const [, a, b] = /^([1-9][0-9]?)\/([1-9][0-9]?)$/.exec(text(data, 'value')) ?? [];
    if (b !== undefined && Number(a) <= Number(b))
      this.#quorums.push({ index, quorum: [Number(a), Number(b)] });
    else this.witnessFaults.push(`entry ${index}: a quorum that is none`);
  }

  #witness(where, data) {
    this.claims.witnesses.check(where, () => {
      const silo = name(data, 'silo');
      const verifierKey = text(data, 'verifierKey');
      const identityKey = fromBase64(text(data, 'identityKey'), 32);
      need(
        hexOf(identityKey) === this.#identity.get(silo),
        `${silo} did not enrol with the key that vouches for its witness`,
      );
      const statement = canonical({
        medley: 'witnessKey/v1',
        consortium: this.consortium,
        silo,
        verifierKey,
      });
      need(
        isSigned(
          identityKey,
          Buffer.from(`medley/witness-key/v1\n${statement}`),
          fromBase64(text(data, 'signature')),
        ),
        `the witness key of ${silo} is not signed by its identity key`,
      );
      const witness = readVerifierKey(verifierKey, 4);
      need(witness.name.endsWith(`/${silo}`), `the witness key of ${silo} has another name`);
      this.witnesses.set(`${witness.name} ${witness.id}`, { silo, key: witness.key });
    });
  }

  #decided(type, event, data) {
    const study = this.#study(event);
    const silo = name(data, 'silo');
    const key = `${hash(data, 'charterHash')} ${silo}`;
    study.decisions.set(key, { type, data });
    if (type !== 'charter.withdrawn') return;
    need(study.charter !== undefined, `${silo} leaves a study that did not begin`);
    this.#checkDecision(type, data, study);
    study.left.add(silo);
  }

  #checkDecision(type, data, study) {
    const [decision, meaning] = DECISIONS[type];
    const bytes = fromBase64(text(data, 'statement'));
    const statement = parseCanonical(bytes);
    const silo = text(data, 'silo');
    need(
      member(statement, 'decision') === decision && member(statement, 'meaning') === meaning,
      `${silo} signed for something else`,
    );
    need(
      member(statement, 'silo') === silo && member(statement, 'charter') === study.charterHash,
      `${silo} signed another charter`,
    );
    const key = study.keys.get(silo);
    need(key !== undefined, `${silo} is not on the roster`);
    need(
      isSigned(
        key,
        Buffer.concat([Buffer.from('medley/charter/v1\n'), bytes]),
        fromBase64(text(data, 'signature')),
      ),
      `the signature of ${silo} is not by the key that the charter pins`,
    );
  }

  #started(event, data) {
    const study = this.#study(event);
    need(study.charter === undefined, 'a study that has begun begins again');
    const charter = member(data, 'charter');
    const charterHash = hash(data, 'charterHash');
    need(hexOf(canonical(charter)) === charterHash, 'another charter than its hash says');
    need(
      member(charter, 'study') === study.name && member(charter, 'consortium') === this.consortium,
      'the charter of another study',
    );
    need(
      text(member(charter, 'log'), 'verifierKey') === this.logKeyText,
      'the hospitals signed for another log',
    );
    const roster = list(charter, 'roster');
    const keys = new Map();
    roster.forEach((seat, i) => {
      need(whole(seat, 'index') === i + 1, 'the roster is out of order');
      keys.set(name(seat, 'silo'), fromBase64(text(seat, 'identityKey'), 32));
    });
    const distinct = new Set([...keys.values()].map((key) => key.toString('hex')));
    need(
      roster.length >= 3 &&
        roster.length <= 200 &&
        keys.size === roster.length &&
        distinct.size === roster.length,
      'the roster names a hospital or a key twice, or too few',
    );
    const rules = member(charter, 'secureAggregation');
    const [t, m] = [whole(rules, 'threshold'), whole(rules, 'minSurvivors')];
    need(
      2 * t > roster.length && t <= roster.length && m >= Math.max(3, t) && m <= roster.length,
      'the charter asks for too few hospitals',
    );
    Object.assign(study, {
      charter,
      charterHash,
      keys,
      silos: roster.map(({ silo }) => silo),
      threshold: t,
      minimum: Math.max(t, m),
    });
    this.rosters.add(hexOf(canonical(roster)));
    for (const silo of keys.keys()) {
      this.claims.charters.check(`${study.name}, ${silo}`, () => {
        const word = study.decisions.get(`${charterHash} ${silo}`);
        need(
          word?.type === 'charter.signed',
          'its last word before the study began is no approval',
        );
        this.#checkDecision('charter.signed', word.data, study);
        const enrolled = this.#identity.get(silo);
        need(
          enrolled === undefined || enrolled === hexOf(keys.get(silo)),
          'the charter pins another key than it enrolled with',
        );
      });
    }
  }

  #moved(type, event, data) {
    const study = this.#study(event);
    if (type === 'study.paused') study.isPaused = true;
    else if (type === 'study.resumed') study.isPaused = false;
    else if (type === 'study.stopped' || type === 'study.completed') {
      need(!study.isOver, 'a study that has ended ends again');
      study.isOver = true;
      if (type === 'study.stopped') return;
      need(study.charter !== undefined, 'a study is complete that never began');
      need(
        study.closed === whole(member(study.charter, 'rounds'), 'count') + 1,
        'a study is complete without its last round',
      );
      this.claims.models.check(study.name, () =>
        need(
          study.model === hash(data, 'modelHash'),
          'the result is not the model that the last round left',
        ),
      );
    }
  }

  #round(where, type, event, data) {
    const study = this.claims.rounds.check(where, () => {
      const own = this.#study(event);
      need(
        own.charter !== undefined,
        'a round of a study that had not begun: nobody had signed its charter',
      );
      need(!own.isOver, 'a round of a study that had ended');
      return own;
    });
    if (!study) return;
    const place = this.claims.rounds.check(where, () => ({
      round: whole(event, 'round'),
      attempt: whole(event, 'attempt'),
    }));
    if (!place) return;
    const key = `${place.round}/${place.attempt}`;
    if (type === 'round.opened') {
      this.claims.rounds.check(where, () => this.#opened(study, place, key, event, data));
      this.claims.models.check(where, () =>
        need(
          study.model === undefined || study.model === hash(data, 'modelHash'),
          'a round starts from another model than was left',
        ),
      );
      return;
    }
    const opened = study.opened.get(key);
    if (!opened) this.claims.rounds.add(`${where}: an attempt that was never opened`);
    if (type === 'round.aborted') study.aborted.add(key);
    if (type !== 'round.closed') return;
    this.claims.rounds.check(where, () => {
      need(!study.aborted.has(key), 'an attempt that was aborted is closed');
      need(
        study.closed === undefined || place.round === study.closed + 1,
        'a round is closed out of turn',
      );
      study.closed = place.round;
      if (!opened) return;
      need(
        opened.kind === data.kind && opened.modelHash === data.modelHash,
        'a round was opened as another one',
      );
      need(
        opened.sid === member(member(data, 'receipt'), 'sid'),
        'a round was opened under another session',
      );
    });
    this.claims.receipts.check(where, () => checkReceipt(study, data));
    this.claims.models.check(where, () => {
      const [from, to] = [hash(data, 'modelHash'), hash(data, 'nextModelHash')];
      const mayChange = data.kind !== 'evaluation' || study.rolled.has(place.round);
      need(
        study.model === undefined || study.model === from,
        'a round started from another model than was left',
      );
      study.model = to;
      study.states.add(from).add(to);
      need(mayChange || from === to, 'an evaluation changed the model');
    });
    this.claims.privacy.check(where, () => this.#survivorsPaid(study, place.round, data));
  }

  #opened(study, { round, attempt }, key, event, data) {
    const { charter } = study;
    const count = whole(member(charter, 'rounds'), 'count');
    const kind = round === 0 ? 'statistics' : round <= count ? 'training' : 'evaluation';
    need(!study.isPaused, 'a round was opened while the study was paused');
    need(!study.opened.has(key), 'an attempt is opened twice');
    need(
      attempt >= 1 &&
        attempt <= whole(charter.secureAggregation, 'maxAttempts') &&
        round <= count + 1,
      'more rounds or attempts than the charter allows',
    );
    need(
      text(event, 'at') <= text(charter, 'expires'),
      'a round was opened after the charter had expired',
    );
    need(
      study.closed === undefined ? round <= 1 : round === study.closed + 1,
      `round ${round} does not follow the last closed one`,
    );
    need(
      text(data, 'kind') === kind,
      `round ${round} cannot be a ${String(data.kind).slice(0, 20)} round`,
    );
    study.opened.set(key, { kind, sid: hash(data, 'sid'), modelHash: hash(data, 'modelHash') });
  }

  #model(type, event, data) {
    const study = this.#study(event);
    if (type === 'model.rolledback') study.rolled.add(whole(event, 'round'));
    if (type === 'model.exported')
      need(
        study.states.has(hash(data, 'modelHash')),
        'a model was exported that is no state of the study',
      );
  }

  #spent(event, data) {
    const study = this.#study(event);
    const { charter } = study;
    need(charter !== undefined, 'a cost in a study that had not begun');
    const privacy = member(charter, 'privacy');
    need(isRecord(privacy), 'a cost in a study without differential privacy');
    const silo = name(data, 'silo');
    const bytes = fromBase64(text(data, 'statement'));
    const statement = parseCanonical(bytes);
    const key = study.keys.get(silo);
    need(
      key !== undefined &&
        isSigned(
          key,
          Buffer.concat([Buffer.from('medley/spend/v1\n'), bytes]),
          fromBase64(text(data, 'signature')),
        ),
      `the statement of ${silo} is not by the key that the charter pins`,
    );
    const round = whole(event, 'round');
    const expected = {
      medley: 'spend/v1',
      charter: study.charterHash,
      silo,
      round,
      delta: privacy.delta,
      limit: privacy.epsilon,
    };
    for (const [field, value] of Object.entries(expected))
      need(member(statement, field) === value, `${silo} states another ${field}`);
    checkMechanism(privacy, text(statement, 'kind'), member(statement, 'mechanism'));
    const epsilon = real(statement, 'epsilon');
    // One part in a million is left for the last bits of logarithms.
    need(
      epsilon >= 0 && epsilon <= real(privacy, 'epsilon') * (1 + 1e-6),
      `${silo} has spent ${epsilon}, above the limit of ${privacy.epsilon}`,
    );
    need(epsilon >= (study.spent.get(silo) ?? 0), `${silo} has spent less than before`);
    study.spent.set(silo, epsilon);
    study.stated.add(`${silo} ${round}`);
  }

  #survivorsPaid(study, round, data) {
    const privacy = member(study.charter, 'privacy');
    if (!isRecord(privacy)) return;
    const kind = text(data, 'kind');
    const isFree =
      privacy.level === 'silo'
        ? kind !== 'training'
        : kind !== 'training' && member(member(privacy, 'noise'), kind) === 0;
    if (isFree) return;
    for (const index of list(member(data, 'receipt'), 'survivors')) {
      const silo = study.silos[index - 1];
      // An extract of one hospital leaves the statements of the others out.
      if (this.silo !== null && silo !== this.silo) continue;
      need(study.stated.has(`${silo} ${round}`), `${silo} is in the sum and stated no cost`);
    }
  }

  /** What the command line says that must have been signed. */
  trusted({ charters, rosters }) {
    const started = new Set(
      [...this.studies.values()].flatMap(({ charterHash }) => charterHash ?? []),
    );
    for (const one of charters)
      if (!started.has(one))
        this.claims.charters.add(`no study here began under the charter ${one}`);
    for (const one of rosters)
      if (!this.rosters.has(one)) this.claims.charters.add(`no study here has the roster ${one}`);
  }
}

function checkMechanism(privacy, kind, mechanism) {
  const parameters = member(mechanism, 'parameters');
  const same = (field, value) =>
    need(member(parameters, field) === value, `another ${field} than the charter prescribes`);
  if (privacy.level === 'silo') {
    need(
      mechanism.kind === 'skellam' && kind === 'training',
      'another mechanism than the charter prescribes',
    );
    same('honest', privacy.honest);
    same('variance', privacy.variance);
  } else if (kind === 'training') {
    need(mechanism.kind === 'sampledGaussian', 'another mechanism than the charter prescribes');
    same('rate', privacy.samplingRate);
    same('noiseMultiplier', member(privacy.noise, 'training'));
    same('steps', privacy.steps);
    same('clipNorm', privacy.clipNorm);
  } else {
    need(mechanism.kind === 'discreteGaussian', 'another mechanism than the charter prescribes');
    same('noiseMultiplier', member(privacy.noise, kind));
  }
}

/** `frame(what, sid, …)` of docs/protocol.md section 1. */
const frame = (what, sid, ...fields) =>
  Buffer.concat([Buffer.from(`medley/secagg/v1/${what}\0`), sid, ...fields]);

function siloSet(values, seats) {
  need(Array.isArray(values) && values.length <= seats, 'a set of hospitals is none');
  values.forEach((value, i) =>
    need(
      Number.isInteger(value) && value > (values[i - 1] ?? 0) && value <= seats,
      'a set of hospitals is out of order or not of the roster',
    ),
  );
  return values;
}

/** Bonawitz et al. 2017: t of the survivors sign the same two sets, in this very session. */
function checkReceipt(study, data) {
  const receipt = member(data, 'receipt');
  const sid = fromHex(text(receipt, 'sid'));
  need(
    hash(receipt, 'aggregateHash') === hash(data, 'aggregateHash'),
    'the receipt is of another sum',
  );
  const seats = study.silos.length;
  const [sharers, survivors] = [
    siloSet(member(receipt, 'sharers'), seats),
    siloSet(member(receipt, 'survivors'), seats),
  ];
  need(
    survivors.every((one) => sharers.includes(one)),
    'a survivor never shared',
  );
  need(survivors.length >= study.minimum, `a sum of ${survivors.length} hospitals was opened`);
  const setHash = (set) => sha256(frame('set', sid, u32(set.length), ...set.map(u32)));
  const [u2, u1] = [setHash(survivors), setHash(sharers)];
  const confirmed = new Set();
  const confirmations = list(receipt, 'confirmations');
  need(confirmations.length <= seats, 'more confirmations than hospitals');
  for (const confirmation of confirmations) {
    const index = whole(confirmation, 'silo');
    need(
      survivors.includes(index) && !confirmed.has(index),
      `${index} is no survivor, or confirmed twice`,
    );
    const silo = study.silos[index - 1];
    need(
      fromHex(text(confirmation, 'survivorsHash')).equals(u2) &&
        fromHex(text(confirmation, 'sharersHash')).equals(u1),
      `${silo} confirmed other sets`,
    );
    const signed = frame('survivors', sid, u32(index), u2, u1);
    need(
      isSigned(study.keys.get(silo), signed, fromBase64(text(confirmation, 'signature'))),
      `the confirmation of ${silo} is not by the key that the charter pins`,
    );
    confirmed.add(index);
  }
  need(confirmed.size >= study.threshold, `only ${confirmed.size} hospitals confirmed`);
}

// ---------------------------------------------------------------- extracts

/** Which extract an event belongs to, if any. */
function extractOf(event) {
  const { type, study } = event;
  if (/^(consortium\.created|silo\.|witness\.|crl\.)/.test(type))
    return 'certificates/history.jsonl';
  if (/^(operator\.|token\.|consortium\.setting$)/.test(type)) return 'roles/changes.jsonl';
  if (typeof study !== 'string' || !NAME.test(study)) return undefined;
  if (/^(round\.|model\.)/.test(type)) return `rounds/${study}.jsonl`;
  if (type === 'privacy.spent') return `privacy/${study}.jsonl`;
  if (/^(study\.|charter\.)/.test(type)) return `charters/${study}/decisions.jsonl`;
  return undefined;
}

/** Derives every extract anew from the entries and compares hashes with what the manifest lists. */
class Copies {
  #hashers = new Map();
  read(index, event, line) {
    const path = extractOf(event);
    if (path === undefined) return;
    if (!this.#hashers.has(path)) this.#hashers.set(path, createHash('sha256'));
    this.#hashers.get(path).update(line).update('\n');
  }

  check(claim, { files, story, logKey, newest }) {
    const expected = new Map(
      [...this.#hashers].map(([path, hasher]) => [path, hasher.digest('hex')]),
    );
    const put = (path, bytes) => expected.set(path, hexOf(bytes));
    for (const { name: study, charter, charterHash, keys, decisions } of story.studies.values()) {
      if (!charter) continue;
      put(`charters/${study}/charter.json`, canonical(charter));
      for (const [silo, key] of keys) {
        const word = decisions.get(`${charterHash} ${silo}`);
        if (word?.type !== 'charter.signed' && word?.type !== 'charter.withdrawn') continue;
        const at = `charters/${study}/approvals/${silo}`;
        claim.check(at, () => {
          put(`${at}.pub.pem`, pemOf(key));
          if (word.type === 'charter.withdrawn') return;
          put(
            `${at}.statement`,
            Buffer.concat([
              Buffer.from('medley/charter/v1\n'),
              fromBase64(text(word.data, 'statement')),
            ]),
          );
          put(`${at}.sig`, fromBase64(text(word.data, 'signature'), 64));
        });
      }
    }
    if (logKey && newest) {
      put('keys/log.pub.pem', pemOf(logKey.key));
      put('proofs/checkpoint.txt', newest.body);
      put('proofs/checkpoint.sig', newest.signature);
    }
    for (const [path, sha] of expected) {
      claim.check(path, () =>
        need(
          files.get(path)?.sha256 === sha,
          files.has(path) ? 'does not say what the entries say' : 'is missing',
        ),
      );
    }
    for (const path of files.keys()) {
      const isExtract =
        /^(charters|rounds|privacy)\/|^certificates\/history\.jsonl$|^roles\/changes\.jsonl$|^keys\/log\.pub\.pem$|^proofs\/checkpoint\./.test(
          path,
        );
      if (isExtract && !expected.has(path)) claim.add(`${path} is no extract of these entries`);
    }
    claim.note = `${expected.size} extracts say what the entries say`;
  }
}

// ---------------------------------------------------------------- the whole

function verifyBundle(folder, options) {
  const claims = Object.fromEntries(Object.keys(CLAIMS).map((one) => [one, new Claim(one)]));
  const { manifest, files } = checkManifest(claims.manifest, folder);
  const trust = { logKey: options.logKey === undefined ? 'bundle' : 'given' };
  if (!manifest) {
    for (const claim of Object.values(claims))
      if (claim.name !== 'manifest') claim.add('not checked: there is no manifest');
    return { claims: Object.values(claims), bundle: null, trust };
  }
  const { logKey, heads } = checkCheckpoints(claims.checkpoints, { folder, manifest, options });
  const newest = heads.at(-1);
  const size = newest?.size ?? 0;
  const hashAt = checkCompleteness(claims.completeness, { folder, files, heads });
  checkAllConsistency(claims.consistency, { folder, heads });
  const story = new Story(claims, manifest, options.logKey ?? manifest.log.verifierKey);
  const copies = new Copies();
  checkInclusionOfAll(claims.inclusion, { folder, manifest, files, hashAt, size, story, copies });
  story.trusted(options);
  checkWitnesses(claims.witnesses, { manifest, heads, story, options });
  checkSignature(claims.signature, { folder, manifest, options, story });
  checkExport(claims.export, { folder, manifest, logKey, newest });
  copies.check(claims.copies, { files, story, logKey, newest });
  // Whoever signed these charters signed for this log key.
  const isPinned = options.charters.length + options.rosters.length > 0;
  if (isPinned && claims.charters.ok) trust.logKey = 'given';
  const { scope, entries } = manifest;
  const bundle = {
    consortium: manifest.consortium,
    scope,
    size,
    ...(isRecord(entries) && { entries }),
    rosters: [...story.rosters],
  };
  return { claims: Object.values(claims), bundle, trust };
}

const EXPLAIN = `What is checked, claim by claim:

${Object.entries(CLAIMS)
  .map(([one, what]) => `  ${one.padEnd(13)} ${what}`)
  .join('\n')}

Not checked here: that session ids follow from the study files, and the evidence on which a hospital was
blamed. \`medley audit verify --from FOLDER\` does that, where nothing was withheld.

The same with other tools, in the folder of the bundle. Every file against the manifest (jq writes the list):

  jq -r '.files[] | "\\(.sha256)  \\(.path)"' manifest.json | sha256sum --check --quiet

The manifest against the operator's certificate, and that against the authority:

  openssl x509 -in keys/operator.pem -pubkey -noout > /tmp/operator.pub.pem
  openssl dgst -sha256 -verify /tmp/operator.pub.pem -signature manifest.sig manifest.json
  openssl verify -CAfile keys/authority.pem keys/operator.pem

The log's signature under its newest checkpoint, and a hospital's under a charter:

  openssl pkeyutl -verify -pubin -inkey keys/log.pub.pem -rawin -in proofs/checkpoint.txt -sigfile proofs/checkpoint.sig
  openssl pkeyutl -verify -pubin -inkey charters/STUDY/approvals/SILO.pub.pem -rawin \\
    -in charters/STUDY/approvals/SILO.statement -sigfile charters/STUDY/approvals/SILO.sig

The hash of one entry, line N of entries.jsonl, as it stands in the tree (SHA-256 of a zero byte and the entry):

  (printf '\\000'; sed -n Np entries.jsonl | sed -E 's/^.*"leaf":(\\{.*\\})\\}$/\\1/' | tr -d '\\n') | sha256sum
  od -An -v -tx1 -w32 $(find tile/0 -type f | sort | head -n 1) | tr -d ' '      the first 256 hashes, in order

Whoever gave you the bundle could have changed the verify.mjs in it as well: take that file from the programs'
release, or from a hospital, and compare the log key with the one in the charter that a hospital signed.`;

function readOptions(args) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      explain: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      'log-key': { type: 'string' },
      charter: { type: 'string', multiple: true, default: [] },
      roster: { type: 'string', multiple: true, default: [] },
      'authority-pin': { type: 'string' },
      'no-witnesses': { type: 'boolean', default: false },
    },
  });
  if (values.help || values.explain) return { print: values.help ? USAGE : EXPLAIN };
  need(positionals.length === 1, 'name one folder');
  const digests = [...values.charter, ...values.roster, values['authority-pin'] ?? '0'.repeat(64)];
  need(
    digests.every((one) => HEX.test(one)),
    'charter, roster and pin are SHA-256 in lower-case hex',
  );
  const key = values['log-key'];
  const logKey =
    key === undefined
      ? undefined
      : /\+[0-9a-f]{8}\+/.test(key)
        ? key
        : readFileSync(key, 'utf8').trim();
  if (logKey !== undefined) readVerifierKey(logKey, 1);
  need(statSync(positionals[0]).isDirectory(), `${positionals[0]} is no folder`);
  return {
    folder: positionals[0],
    json: values.json,
    logKey,
    charters: values.charter,
    rosters: values.roster,
    authorityPin: values['authority-pin'],
    witnesses: !values['no-witnesses'],
  };
}

/** Nothing in a bundle steers the terminal. */
const printable = (words) => words.replace(/[^\P{Cc}\n]|[\u202a-\u202e\u2066-\u2069]/gu, '\ufffd');

function describe({ claims, bundle, trust }) {
  const lines = [];
  if (bundle) {
    const { consortium, scope, size } = bundle;
    const filter = [scope.study && `study ${scope.study}`, scope.silo && `hospital ${scope.silo}`]
      .filter(Boolean)
      .join(', ');
    lines.push(
      `Audit bundle of ${consortium}: entries ${scope.first} to ${scope.end} (not included) of ${size}${filter ? `, ${filter}` : ''}`,
    );
  }
  lines.push(
    trust.logKey === 'given'
      ? 'Trust: the log key is the one that you gave, or that the charters pin which you gave.'
      : 'Trust: TAKEN FROM THE BUNDLE ITSELF. Nothing here shows whose log this is: give --log-key, or --charter with\n       the hash of a charter that a hospital signed.',
    '',
  );
  for (const { name: one, ok, checked, detail } of claims)
    lines.push(
      `${ok ? 'PASS' : 'FAIL'}  ${one.padEnd(13)} ${String(checked).padStart(6)}  ${detail}`,
    );
  const failed = claims.filter(({ ok }) => !ok).length;
  lines.push(
    '',
    failed === 0 ? 'Every claim holds.' : `${failed} of ${claims.length} claims FAIL.`,
  );
  return printable(lines.join('\n'));
}

function main(args) {
  let options;
  try {
    options = readOptions(args);
  } catch (error) {
    process.stderr.write(`${printable(String(error?.message ?? error))}\n${USAGE}\n`);
    return 2;
  }
  if (options.print) {
    process.stdout.write(`${options.print}\n`);
    return 0;
  }
  let report;
  try {
    readdirSync(options.folder);
    report = verifyBundle(options.folder, options);
  } catch (error) {
    process.stderr.write(
      `the bundle cannot be read: ${printable(String(error?.message ?? error)).slice(0, 500)}\n`,
    );
    return 2;
  }
  const verified = report.claims.every(({ ok }) => ok);
  const { bundle, trust } = report;
  const claims = report.claims.map(({ name: one, ok, checked, detail }) => ({
    name: one,
    ok,
    checked,
    detail,
  }));
  const result = { schemaVersion: 1, verified, trust, bundle, claims };
  process.stdout.write(
    options.json ? `${JSON.stringify(result, undefined, 2)}\n` : `${describe(report)}\n`,
  );
  return verified ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
