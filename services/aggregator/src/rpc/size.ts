import { Rounds } from '@medley/rpc';

/** Bytes of a message of service Rounds on the wire, without the frame. */
export function requestBytes(method: string, message: unknown): number {
  return Rounds.definition()[method]?.requestSerialize(message).length ?? 0;
}

/** The same for what a method answers. */
export function replyBytes(method: string, message: unknown): number {
  return Rounds.definition()[method]?.responseSerialize(message).length ?? 0;
}
