import { resolve } from 'node:path';
import type { Command } from 'commander';
import {
  checkSchema,
  fromBase64,
  MedleyError,
  printable,
  readText,
  writeDurably,
  type JsonSchema,
} from '@medley/kit';
import { invitationSecretHash, verifyEnrolment } from '@medley/pki';
import { withAdmin, withDoor } from '../connection.ts';
import { homeOf, type CommandContext, type SharedOptions } from '../context.ts';
import { command } from './command.ts';

/** A hospital's request as its agent writes it to a file. */
interface RequestFile {
  readonly medley: 'enrolment-request/v1';
  readonly consortium: string;
  readonly silo: string;
  readonly invitationId: string;
  readonly invitationSecret: string;
  readonly csrPem: string;
  readonly identityKey: string;
  readonly signature: string;
}

const text: JsonSchema = { type: 'string', minLength: 1, maxLength: 20_000 };
const FIELDS = [
  ...(['consortium', 'silo', 'invitationId', 'invitationSecret'] as const),
  ...(['csrPem', 'identityKey', 'signature'] as const),
];
const SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['medley', ...FIELDS],
  properties: {
    medley: { const: 'enrolment-request/v1' },
    ...Object.fromEntries(FIELDS.map((name) => [name, text])),
  },
};

/** `medley silo import` and `medley silo answer`: enrolment of a hospital by files. */
export function fileCommands(silo: Command, context: CommandContext): void {
  command(silo, 'import <file>', "hand in a hospital's request that came as a file")
    .addHelpText(
      'after',
      `
For a hospital whose agent cannot reach the enrolment port. The request is checked here and goes to the
aggregator as if the agent had sent it; then approve it as any other, after comparing the six words.

  medley silo import request.json
`,
    )
    .action(async (path: string, options: SharedOptions) => {
      const home = await homeOf(context, options);
      const request = readRequest(await readText(resolve(context.cwd, path)));
      const reply = await withDoor(home, (door) => door.requestEnrolment(request, context));
      const { silo: name } = request;
      const terminal = context.terminal(options.json);
      terminal.result(
        { silo: name, requestId: reply.requestId },
        printable(`${name} waits for approval`),
      );
      terminal.say(`Hear the six words from the hospital, then: medley silo approve ${name} …`);
    });
  command(silo, 'answer <name>', 'write the certificate of an enrolled hospital to a file')
    .requiredOption('--out <file>', 'where to write it')
    .addHelpText(
      'after',
      `
The other half of medley silo import, after the approval. The file holds no secret; the agent checks it
against the pin of its invitation.

  medley silo answer charite --out answer.json
`,
    )
    .action(async (name: string, options: SharedOptions & { readonly out: string }) => {
      const home = await homeOf(context, options);
      const file = resolve(context.cwd, options.out);
      const reply = await withAdmin(home, (admin) => admin.getCertificate({ silo: name }, context));
      const { requestId, certificatePem, caPem } = reply;
      const answer = { medley: 'enrolment-answer/v1', requestId, certificatePem, caPem };
      await writeDurably(file, `${JSON.stringify(answer, undefined, 2)}\n`, { mode: 0o644 });
      context
        .terminal(options.json)
        .result({ silo: name, requestId, file }, `${file}: give it to ${name}`);
    });
}

/** Throws OPERATOR_REQUEST_FORGED for anything that its own identity key did not sign. */
function readRequest(bytes: string): {
  readonly invitationId: string;
  readonly invitationSecret: Uint8Array;
  readonly silo: string;
  readonly csrPem: string;
  readonly identityKey: Uint8Array;
  readonly signature: Uint8Array;
} {
  try {
    const value: unknown = JSON.parse(bytes);
    checkSchema(value, SCHEMA, 'OPERATOR_REQUEST_FORGED');
    const { silo, invitationId, csrPem, ...rest } = value as RequestFile;
    const raw = (name: 'invitationSecret' | 'identityKey' | 'signature'): Uint8Array =>
      fromBase64(rest[name]) ?? new Uint8Array();
    const invitationSecret = raw('invitationSecret');
    const request = { silo, invitationId, csrPem };
    const signed = { identityKey: raw('identityKey'), signature: raw('signature') };
    const secretHash = invitationSecretHash(invitationSecret);
    verifyEnrolment({ ...request, ...signed, secretHash });
    return { ...request, ...signed, invitationSecret };
  } catch (cause) {
    throw new MedleyError('OPERATOR_REQUEST_FORGED', 'the request file', { cause });
  }
}
