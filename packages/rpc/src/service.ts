import type { ServiceDefinition } from '@grpc/grpc-js';
import type { MethodDefinition } from '@grpc/proto-loader';
import type { AdminDefinition, AdminHandlers } from './generated/medley/v1/Admin.ts';
import type { AuditDefinition, AuditHandlers } from './generated/medley/v1/Audit.ts';
import type { EnrolmentDefinition, EnrolmentHandlers } from './generated/medley/v1/Enrolment.ts';
import type { RoundsDefinition, RoundsHandlers } from './generated/medley/v1/Rounds.ts';
import { loadService } from './load.ts';

/** The four types of one method: what each side writes and what the other reads. */
export interface Method<Kind, Request, RequestRead, Reply, ReplyRead> {
  readonly kind: Kind;
  readonly request: Request;
  readonly requestRead: RequestRead;
  readonly reply: Reply;
  readonly replyRead: ReplyRead;
}

export type MethodKind = 'unary' | 'serverStream' | 'clientStream';

/** Shape of the methods of a service, for type parameters. */
export type MethodMap = Readonly<
  Record<string, Method<MethodKind, unknown, unknown, unknown, unknown>>
>;

/** A service of the protocol by name; `Methods` exists only for the compiler. */
export interface Service<Methods> {
  readonly name: string;
  /** What grpc-js needs; the protocol files are read on first use. */
  definition(): ServiceDefinition;
  /** Never set: carries the types of the methods. */
  readonly methods?: Methods;
}

/** Handlers of server streams take the call alone; a unary call carries its request. */
type KindOf<Handler> = Handler extends (...parameters: infer Parameters) => void
  ? Parameters extends [infer Call, unknown]
    ? Call extends { request: unknown }
      ? 'unary'
      : 'clientStream'
    : 'serverStream'
  : never;

/** The generated definition gives the messages, the generated handlers tell which side streams. */
type MethodsOf<Definition, Handlers> = {
  readonly [
    Name in keyof Definition as string extends Name
      ? never
      : Name extends string
        ? Uncapitalize<Name>
        : never
  ]: Definition[Name] extends MethodDefinition<
    infer Request,
    infer Reply,
    infer RequestRead,
    infer ReplyRead
  >
    ? Name extends keyof Handlers
      ? Method<KindOf<Handlers[Name]>, Request, RequestRead, Reply, ReplyRead>
      : never
    : never;
};

export type EnrolmentMethods = MethodsOf<EnrolmentDefinition, EnrolmentHandlers>;
export type RoundsMethods = MethodsOf<RoundsDefinition, RoundsHandlers>;
export type AdminMethods = MethodsOf<AdminDefinition, AdminHandlers>;
export type AuditMethods = MethodsOf<AuditDefinition, AuditHandlers>;

/** First contact of a silo; server TLS only (enrolment.proto). */
export const Enrolment: Service<EnrolmentMethods> = service('Enrolment');
/** What a silo's agent calls; role `silo` (round.proto). */
export const Rounds: Service<RoundsMethods> = service('Rounds');
/** What operators call; role `operator` (admin.proto). */
export const Admin: Service<AdminMethods> = service('Admin');
/** The transparency log; roles `operator` and `silo` (audit.proto). */
export const Audit: Service<AuditMethods> = service('Audit');

function service<Methods>(name: string): Service<Methods> {
  return { name, definition: () => loadService(name) };
}
