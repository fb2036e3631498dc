import { fromBase64, toBase64, utf8 } from '@medley/kit';

/** UTF-8 JSON of plain data in which a Uint8Array stands as {"base64": …}. */
export function toJsonBytes(value: unknown): Uint8Array {
  return utf8(
    JSON.stringify(value, (_key, item: unknown) =>
      item instanceof Uint8Array ? { base64: toBase64(item) } : item,
    ),
  );
}

/** The inverse, undefined for what is no such JSON; the shape is the caller's to check. */
export function fromJsonBytes(bytes: Uint8Array): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return JSON.parse(text, (_key, item: unknown) => bytesIn(item) ?? item);
  } catch {
    return undefined;
  }
}

function bytesIn(item: unknown): Uint8Array | undefined {
  if (typeof item !== 'object' || item === null || Object.keys(item).length !== 1) return undefined;
  if (!('base64' in item) || typeof item.base64 !== 'string') return undefined;
  return fromBase64(item.base64);
}
