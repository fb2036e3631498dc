import forge from 'node-forge';

/**
 * DER by node-forge's ASN.1 types, with bytes instead of binary strings: only what PKCS#8, PKCS#10
 * and certificate revocation lists need (ITU-T X.690).
 */
export type Asn1 = forge.asn1.Asn1;

const { Class, Type } = forge.asn1;

// The published types know universal tag numbers only.
const create: (cls: forge.asn1.Class, tag: number, wraps: boolean, value: string | Asn1[]) => Asn1 =
  forge.asn1.create;

/** Object identifiers that Medley writes or accepts. */
export const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  pbes2: '1.2.840.113549.1.5.13',
  scrypt: '1.3.6.1.4.1.11591.4.11',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
  crlNumber: '2.5.29.20',
  crlReason: '2.5.29.21',
  authorityKeyIdentifier: '2.5.29.35',
} as const;

export function sequence(...parts: Asn1[]): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, parts);
}

export function set(...parts: Asn1[]): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, Type.SET, true, parts);
}

/** Context-specific tag `number`: explicit when it wraps nodes, implicit when it carries bytes. */
export function tagged(number: number, content: Uint8Array | Asn1[]): Asn1 {
  const isWrapper = Array.isArray(content);
  return create(Class.CONTEXT_SPECIFIC, number, isWrapper, isWrapper ? content : binary(content));
}

export function oid(dotted: string): Asn1 {
  return primitive(Type.OID, forge.asn1.oidToDer(dotted).getBytes());
}

export function nothing(): Asn1 {
  return primitive(Type.NULL, '');
}

/** A non-negative INTEGER from its big-endian magnitude, in the fewest octets. */
export function integer(magnitude: Uint8Array | number): Asn1 {
  let bytes =
    typeof magnitude === 'number' ? Buffer.from(evenHex(magnitude), 'hex') : Buffer.from(magnitude);
  while (bytes.length > 1 && bytes[0] === 0) bytes = bytes.subarray(1);
  const isHigh = (bytes[0] ?? 0) >= 0x80;
  return primitive(Type.INTEGER, `${isHigh ? '\0' : ''}${binary(bytes)}`);
}

export function enumerated(value: number): Asn1 {
  return primitive(Type.ENUMERATED, String.fromCharCode(value));
}

export function octets(bytes: Uint8Array): Asn1 {
  return primitive(Type.OCTETSTRING, binary(bytes));
}

/** A BIT STRING of whole octets. */
export function bits(bytes: Uint8Array): Asn1 {
  return primitive(Type.BITSTRING, `\0${binary(bytes)}`);
}

export function utf8String(text: string): Asn1 {
  return primitive(Type.UTF8, Buffer.from(text, 'utf8').toString('latin1'));
}

/** UTCTime before 2050 and GeneralizedTime after (RFC 5280 section 4.1.2.5), whole seconds. */
export function time(ms: number): Asn1 {
  const date = new Date(ms);
  return date.getUTCFullYear() < 2050
    ? primitive(Type.UTCTIME, forge.asn1.dateToUtcTime(date))
    : primitive(Type.GENERALIZEDTIME, forge.asn1.dateToGeneralizedTime(date));
}

/** The node's DER, owned by the caller. */
export function encode(node: Asn1): Uint8Array {
  return unbinary(forge.asn1.toDer(node).getBytes());
}

type DecodeOptions = { readonly strict: true; readonly decodeBitStrings: false };

/**
 * One DER value and nothing after it. Throws a plain Error for everything else, also for BER that is
 * not DER, so that the bytes of a decoded part are the bytes that were signed. Callers translate.
 */
export function decode(der: Uint8Array): Asn1 {
  // The published types know only the older boolean argument.
  const fromDer = forge.asn1.fromDer as unknown as (bytes: string, options: DecodeOptions) => Asn1;
  const node = fromDer(binary(der), { strict: true, decodeBitStrings: false });
  if (!Buffer.from(encode(node)).equals(der)) throw new Error('not DER');
  return node;
}

/** The parts of a constructed universal SEQUENCE or SET, `min` to `max` of them. */
export function partsOf(node: Asn1 | undefined, min: number, max = min): readonly Asn1[] {
  if (!node || node.tagClass !== Class.UNIVERSAL || !Array.isArray(node.value)) {
    throw new Error('expected a SEQUENCE or SET');
  }
  if (node.value.length < min || node.value.length > max) throw new Error('wrong number of parts');
  return node.value;
}

/** The node wrapped by the explicit tag `number`, or undefined when `node` is not that tag. */
export function insideTag(node: Asn1 | undefined, number: number): readonly Asn1[] | undefined {
  if (node?.tagClass !== Class.CONTEXT_SPECIFIC || (node.type as number) !== number)
    return undefined;
  return Array.isArray(node.value) ? node.value : undefined;
}

type PrimitiveKind =
  'INTEGER' | 'BITSTRING' | 'OCTETSTRING' | 'OID' | 'UTF8' | 'PRINTABLESTRING' | 'ENUMERATED';

/** Content octets of a primitive universal node of one of `kinds`. */
export function contentOf(node: Asn1 | undefined, ...kinds: readonly PrimitiveKind[]): Uint8Array {
  if (!node || node.tagClass !== Class.UNIVERSAL || typeof node.value !== 'string') {
    throw new Error('expected a primitive value');
  }
  if (!kinds.some((kind) => node.type === Type[kind])) throw new Error('wrong type');
  return unbinary(node.value);
}

/** A whole-octet BIT STRING's octets. */
export function bitsOf(node: Asn1 | undefined): Uint8Array {
  const content = contentOf(node, 'BITSTRING');
  if (content[0] !== 0) throw new Error('unused bits');
  return content.subarray(1);
}

export function oidOf(node: Asn1 | undefined): string {
  return forge.asn1.derToOid(binary(contentOf(node, 'OID')));
}

/** A UTCTime or GeneralizedTime, in milliseconds since the epoch. */
export function timeOf(node: Asn1 | undefined): number {
  if (node?.tagClass !== Class.UNIVERSAL || typeof node.value !== 'string') {
    throw new Error('expected a time');
  }
  if (node.type === Type.UTCTIME) return forge.asn1.utcTimeToDate(node.value).getTime();
  if (node.type === Type.GENERALIZEDTIME) {
    return forge.asn1.generalizedTimeToDate(node.value).getTime();
  }
  throw new Error('expected a time');
}

/** Bytes as forge's binary string, one character an octet. */
export function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** The bytes of forge's binary string. */
export function unbinary(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

function primitive(type: forge.asn1.Type, value: string): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, type, false, value);
}

function evenHex(value: number): string {
  const hex = value.toString(16);
  return hex.length % 2 === 0 ? hex : `0${hex}`;
}
