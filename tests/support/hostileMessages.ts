import { isMedleyError } from '@medley/kit';
import type { RoundKey } from '@medley/rpc';
import {
  confirmationBytes,
  setHash,
  type Advert,
  type Confirmation,
  type MaskedHeader,
  type MaskedSilo,
  type Release,
  type SharedSilo,
  type SharesMessage,
} from '@medley/secagg';
import { signedShares } from '../../packages/secagg/src/wire/boxTree.ts';
import { advertBytes, maskedBytes, releaseBytes } from '../../packages/secagg/src/wire/messages.ts';
import { submission, type Sending } from './simAgent.ts';

/** Codes of the answers to these calls, one after the other; `ok` and `repeated` where they were taken. */
export async function codes(...calls: (() => Promise<unknown>)[]): Promise<string[]> {
  const answers: string[] = [];
  for (const call of calls) {
    try {
      const answer = (await call()) as { readonly repeatedMessage?: boolean };
      answers.push(answer.repeatedMessage === true ? 'repeated' : 'ok');
    } catch (caught) {
      answers.push(isMedleyError(caught) ? caught.code : String(caught));
    }
  }
  return answers;
}

/** The round that a message belongs to. */
export const keyOf = ({ task }: Sending): RoundKey => task.key!;
/** Its session. */
export const sidOf = ({ state }: Sending): Uint8Array => state.sid;
/** Signs as the silo does. */
export const sign = ({ silo }: Sending, bytes: Uint8Array): Uint8Array =>
  new Uint8Array(silo.identity.sign(bytes));

/** Its advert, changed and signed again. */
export function advertOf(sending: Sending, change: Partial<Advert>): Advert {
  const { state } = sending;
  if (state.phase !== 'advertised') throw new Error('not in R0');
  const advert = { ...state.advert, ...change };
  return { ...advert, signature: sign(sending, advertBytes(sidOf(sending), advert)) };
}

/** Its state after R1. */
export function shared({ state }: Sending): SharedSilo {
  if (state.phase !== 'shared') throw new Error('not in R1');
  return state;
}

/** Its R1 message, changed and signed again. */
export function sharesOf(
  sending: Sending,
  change: (one: SharesMessage) => SharesMessage,
): SharesMessage {
  const message = change(shared(sending).shares);
  return { ...message, signature: sign(sending, signedShares(sidOf(sending), message)) };
}

/** Sends an R1 message. */
export const share = (sending: Sending, message: SharesMessage) => () =>
  sending.client.share({ key: keyOf(sending), ...message, boxes: [...message.boxes] });

/** Its state after R2. */
export function masked({ state }: Sending): MaskedSilo {
  if (state.phase !== 'masked') throw new Error('not in R2');
  return state;
}

/** Its R2 header, changed and signed again. */
export function headerOf(sending: Sending, change: Partial<MaskedHeader>): MaskedHeader {
  const header = { ...masked(sending).header, ...change };
  return { ...header, signature: sign(sending, maskedBytes(sidOf(sending), header)) };
}

/** Sends a header with a vector. */
export const submit = (sending: Sending, header: MaskedHeader, wire: Uint8Array) => () =>
  sending.client.submit(submission(keyOf(sending), header, wire));

/** Its confirmation of other survivors. */
export function confirmationOf(sending: Sending, survivors: readonly number[]): Confirmation {
  const sid = sidOf(sending);
  if (sending.state.phase !== 'confirmed') throw new Error('not in R3');
  const { confirmation } = sending.state;
  const unsigned = { ...confirmation, survivorsHash: setHash(sid, survivors) };
  return { ...unsigned, signature: sign(sending, confirmationBytes(sid, unsigned)) };
}

/** Its release, changed and signed again. */
export function releaseOf(sending: Sending, change: (one: Release) => Release): Release {
  if (sending.state.phase !== 'released') throw new Error('not in R4');
  const message = change(sending.state.release);
  return { ...message, signature: sign(sending, releaseBytes(sidOf(sending), message)) };
}
