import {
  MedleyError,
  readText,
  sha256,
  toHex,
  writeDurably,
  type JsonSchema,
  checkSchema,
} from '@medley/kit';
import { createPublicKey } from 'node:crypto';
import { join } from 'node:path';
import { stringify } from 'yaml';
import {
  createCsr,
  createTlsKey,
  readAuthorities,
  verifyIssued,
  type Endpoints,
} from '@medley/pki';
import { FILES, type OperatorConfig } from './home.ts';

/** What a new operator gets from the administrator: nothing in it is secret. */
export interface Admittance {
  readonly medley: 'operator/v1';
  readonly consortium: string;
  readonly operator: string;
  readonly certificatePem: string;
  readonly caPem: string;
  readonly logVerifierKey: string;
  readonly aggregator: Endpoints;
  readonly audit: { readonly address: string };
}

const text: JsonSchema = { type: 'string', minLength: 1, maxLength: 20_000 };
const closed = (properties: Readonly<Record<string, JsonSchema>>): JsonSchema => ({
  type: 'object',
  additionalProperties: false,
  required: Object.keys(properties),
  properties,
});
const SCHEMA = closed({
  medley: { const: 'operator/v1' },
  consortium: text,
  operator: text,
  certificatePem: text,
  caPem: text,
  logVerifierKey: text,
  aggregator: closed({ enrolment: text, rounds: text }),
  audit: closed({ address: text }),
});

/**
 * Makes an operator's key in a new home and gives the request for its certificate, PEM. The key stays.
 * Throws OPERATOR_HOME_EXISTS, PKI_NAME_INVALID.
 */
export async function requestAccount(
  home: string,
  consortium: string,
  operator: string,
): Promise<string> {
  const { privateKeyPem } = await createTlsKey();
  const csrPem = createCsr({ privateKeyPem, consortium, name: operator });
  const file = join(home, FILES.key);
  if ((await readText(file).catch(() => undefined)) !== undefined) {
    throw new MedleyError('OPERATOR_HOME_EXISTS', `${file} is there`);
  }
  await writeDurably(file, privateKeyPem, { mode: 0o600 });
  return csrPem;
}

/**
 * Completes the home of {@link requestAccount} with what the administrator gave. Gives the authority's
 * pin, for two people to compare. Throws OPERATOR_ADMITTANCE for anything that does not fit, PKI_*.
 */
export async function acceptAdmittance(
  home: string,
  bytes: string,
  nowMs: number,
): Promise<{ readonly admittance: Admittance; readonly caPin: string }> {
  const admittance = readAdmittance(bytes);
  const { consortium, operator, certificatePem, caPem, aggregator, audit } = admittance;
  const { subject, spkiSha256 } = verifyIssued(certificatePem, caPem, nowMs, 'operator');
  const keyPem = await readText(join(home, FILES.key), 'OPERATOR_HOME_MISSING');
  const spki = createPublicKey(keyPem).export({ type: 'spki', format: 'der' });
  if (subject.name !== operator || spkiSha256 !== toHex(sha256(spki))) {
    throw new MedleyError('OPERATOR_ADMITTANCE', 'the certificate is for another name or key');
  }
  const config: OperatorConfig = {
    apiVersion: 'medley/v1',
    kind: 'Operator',
    consortium,
    operator,
    aggregator,
    audit,
  };
  const files = {
    [FILES.authority]: caPem,
    [FILES.certificate]: certificatePem,
    [FILES.logKey]: `${admittance.logVerifierKey}\n`,
    [FILES.config]: stringify(config),
  };
  for (const [name, content] of Object.entries(files)) {
    await writeDurably(join(home, name), content, { mode: 0o600 });
  }
  return { admittance, caPin: readAuthorities(caPem)[0]?.spkiSha256 ?? '' };
}

function readAdmittance(bytes: string): Admittance {
  let value: unknown;
  try {
    value = JSON.parse(bytes);
  } catch (cause) {
    throw new MedleyError('OPERATOR_ADMITTANCE', 'the file is not JSON', { cause });
  }
  checkSchema(value, SCHEMA, 'OPERATOR_ADMITTANCE');
  return value as Admittance;
}
