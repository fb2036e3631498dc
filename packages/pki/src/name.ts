import { isIP } from 'node:net';
import { MedleyError } from '@medley/kit';

/** What the holder of a certificate is in its consortium. */
export type Role = 'silo' | 'operator' | 'aggregator' | 'audit';

/** Who a certificate speaks for. */
export interface Subject {
  readonly consortium: string;
  readonly role: Role;
  readonly name: string;
}

const ROLES: readonly Role[] = ['silo', 'operator', 'aggregator', 'audit'];
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const HOST =
  /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;

/**
 * Whether `text` may name a consortium or a party: 1 to 63 lower-case letters, digits and inner
 * hyphens, the form of a DNS label. It needs no escaping in a URI, a file name, a DN or a log line.
 */
export function isName(text: string): boolean {
  return NAME.test(text);
}

/** Whether `text` is a lower-case DNS host name (RFC 1123 section 2.1), without a final dot. */
export function isHostName(text: string): boolean {
  return HOST.test(text) && isIP(text) === 0;
}

/** Passes `text` on. Throws PKI_NAME_INVALID when it is no name; `what` says which one. */
export function checkName(text: string, what: string): string {
  if (!isName(text)) throw new MedleyError('PKI_NAME_INVALID', `${what} is not a valid name`);
  return text;
}

/** The subject's URI, which stands in the certificate's subjectAltName. Throws PKI_NAME_INVALID. */
export function subjectUri(subject: Subject): string {
  const consortium = checkName(subject.consortium, 'the consortium');
  const name = checkName(subject.name, `the ${subject.role}`);
  return `medley://${consortium}/${subject.role}/${name}`;
}

/** The subject of a `medley://` URI, or undefined when the text is not exactly such a URI. */
export function readSubjectUri(uri: string): Subject | undefined {
  const parts = /^medley:\/\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(uri);
  const role = ROLES.find((known) => known === parts?.[2]);
  const consortium = parts?.[1] ?? '';
  const name = parts?.[3] ?? '';
  if (!role || !isName(consortium) || !isName(name)) return undefined;
  return { consortium, role, name };
}
