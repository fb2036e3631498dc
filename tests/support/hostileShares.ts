import { seededRng } from '@medley/kit';
import type { IdentitySigner, SharesMessage, SharedSilo } from '@medley/secagg';
import { splitSecret } from '../../packages/secagg/src/arithmetic/shamir.ts';
import { openBox, sealBox, type SharePair } from '../../packages/secagg/src/crypto/boxes.ts';
import { x25519Agreement } from '../../packages/secagg/src/crypto/keys.ts';
import { signedShares } from '../../packages/secagg/src/wire/boxTree.ts';
import { shareHash } from '../../packages/secagg/src/wire/frame.ts';
import type { SealedShares } from '../../packages/secagg/src/wire/messages.ts';

type Entry = SharesMessage['boxes'][number];

/** A signed R1 message with the boxes to `victims` replaced: what only their sender can make. */
function resigned(
  { sid, shares }: SharedSilo,
  signer: IdentitySigner,
  bend: (entry: Entry) => Entry,
): SharesMessage {
  const unsigned = { ...shares, boxes: shares.boxes.map(bend) };
  return { ...unsigned, signature: new Uint8Array(signer.sign(signedShares(sid, unsigned))) };
}

/** Boxes that do not open, properly signed for. */
export function withBrokenBoxes(
  state: SharedSilo,
  victims: readonly number[],
  signer: IdentitySigner,
): SharesMessage {
  return resigned(state, signer, (entry) => {
    if (!victims.includes(entry.to)) return entry;
    const box = entry.box.slice();
    box[40]! ^= 1;
    return { ...entry, box };
  });
}

/** Boxes that open to other shares than their hashes say. */
export function withOtherShares(
  state: SharedSilo,
  victims: readonly number[],
  signer: IdentitySigner,
): SharesMessage {
  return resigned(state, signer, (entry) =>
    victims.includes(entry.to)
      ? { ...sealed(state, entry.to, changedPair(state, entry)), ...hashesOf(entry) }
      : entry,
  );
}

/** Shares that their holders find sound, and that are not of the committed secrets. */
export function withForeignSecrets(state: SharedSilo, signer: IdentitySigner): SharesMessage {
  const { terms, adverts } = state;
  const indices = adverts.map(({ silo }) => silo);
  const rng = seededRng('foreign');
  const secret = new Uint8Array(32).fill(5);
  const shares = splitSecret(secret, terms.threshold, indices, rng);
  return resigned(state, signer, ({ to }) => {
    const { share } = shares[indices.indexOf(to)]!;
    return sealed(state, to, { seedShare: share, keyShare: share });
  });
}

function hashesOf({ seedHash, keyHash }: SealedShares): Omit<SealedShares, 'box'> {
  return { seedHash, keyHash };
}

function changedPair(state: SharedSilo, { to, box }: Entry): SharePair {
  const pair = openBox(agreed(state, to), { sid: state.sid, from: state.me, to }, box);
  return { ...pair, seedShare: pair.keyShare };
}

function sealed({ sid, me, ...state }: SharedSilo, to: number, pair: SharePair): Entry {
  const address = { sid, from: me, to };
  return {
    to,
    box: sealBox(agreed({ sid, me, ...state }, to), address, pair, seededRng(`box ${to}`)),
    seedHash: shareHash(sid, 'seed', address, pair.seedShare),
    keyHash: shareHash(sid, 'key', address, pair.keyShare),
  };
}

function agreed({ channelPrivate, adverts }: SharedSilo, to: number): Uint8Array {
  return x25519Agreement(channelPrivate)(adverts.find(({ silo }) => silo === to)!.channelKey);
}
