import { MedleyError, type Clock } from '@medley/kit';
import { isName, verifyIssued } from '@medley/pki';
import type { Change, Ledger } from '../log/ledger.ts';
import { OPERATOR_ROLES } from '../rpc/permission.ts';
import type { Sessions } from '../rpc/sessions.ts';
import type { OperatorRole, OperatorRow } from '../store/rows.ts';

export interface AccountParts {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly sessions: Sessions;
  /** The consortium's authorities, PEM. */
  readonly caPem: string;
}

/** What may change of an account; what is undefined stays. */
export interface AccountChange {
  readonly roles?: readonly OperatorRole[];
  readonly state?: OperatorRow['state'];
  readonly certificatePem?: string;
}

/** Operators' accounts: who they are and what they may do. */
export class AccountDesk {
  readonly #parts: AccountParts;

  constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  /**
   * Makes the founders' accounts, with every role, in a consortium that has no account yet; any
   * certificate of their names is honoured until one is set. Later it changes nothing.
   */
  async found(names: readonly string[]): Promise<void> {
    await this.#parts.ledger.change(async (change) => {
      if ((await change.tables.operators.list()).length > 0) return;
      for (const name of names) {
        const row: OperatorRow = {
          name,
          roles: OPERATOR_ROLES,
          state: 'active',
          certificateSerial: undefined,
          createdMs: this.#parts.clock.nowMs(),
        };
        await put(change, 'operator.added', row, { kind: 'aggregator', id: 'aggregator' });
      }
    });
  }

  /** Throws ACCOUNT_EXISTS, ACCOUNT_INVALID, PKI_NAME_INVALID, PKI_CERTIFICATE_*. */
  async add(
    name: string,
    roles: readonly OperatorRole[],
    certificatePem: string,
    admin: string,
  ): Promise<void> {
    if (!isName(name)) throw new MedleyError('PKI_NAME_INVALID', 'the operator');
    checkRoles(roles);
    const certificateSerial = this.#serialOf(certificatePem, name);
    await this.#parts.ledger.change(async (change) => {
      if (await change.tables.operators.get(name)) throw new MedleyError('ACCOUNT_EXISTS', name);
      const createdMs = this.#parts.clock.nowMs();
      const row: OperatorRow = { name, roles, state: 'active', certificateSerial, createdMs };
      await put(change, 'operator.added', row, { kind: 'operator', id: admin });
    });
  }

  /**
   * Changes an account; its open calls end when it is disabled or has another certificate. Throws
   * ACCOUNT_UNKNOWN, ACCOUNT_INVALID, ACCOUNT_LAST_ADMIN, PKI_CERTIFICATE_*.
   */
  async change(name: string, wanted: AccountChange, admin: string): Promise<OperatorRow> {
    if (wanted.roles) checkRoles(wanted.roles);
    const { certificatePem, ...rest } = wanted;
    const certificateSerial =
      certificatePem === undefined ? undefined : this.#serialOf(certificatePem, name);
    return this.#parts.ledger.change(async (change) => {
      const before = await change.tables.operators.get(name);
      if (!before) throw new MedleyError('ACCOUNT_UNKNOWN', name.slice(0, 64));
      const row = { ...before, ...rest, ...(certificateSerial && { certificateSerial }) };
      const others = (await change.tables.operators.list()).filter((one) => one.name !== name);
      if (![...others, row].some(isAdministrator))
        throw new MedleyError('ACCOUNT_LAST_ADMIN', name);
      await put(change, 'operator.changed', row, { kind: 'operator', id: admin });
      const reason = new MedleyError('ACCOUNT_DISABLED', `the account of ${name} has changed`);
      change.onCommit(() => this.#parts.sessions.end('operator', name, reason));
      return row;
    });
  }

  #serialOf(certificatePem: string, name: string): string {
    const { caPem, clock } = this.#parts;
    const { subject, serial } = verifyIssued(certificatePem, caPem, clock.nowMs(), 'operator');
    if (subject.name !== name) {
      throw new MedleyError('ENROLMENT_CERTIFICATE', `it names another operator than ${name}`);
    }
    return serial;
  }
}

function isAdministrator({ roles, state }: OperatorRow): boolean {
  return state === 'active' && roles.includes('admin');
}

function checkRoles(roles: readonly OperatorRole[]): void {
  if (roles.length === 0 || new Set(roles).size < roles.length) {
    throw new MedleyError('ACCOUNT_INVALID', 'an account needs a role, and each only once');
  }
}

async function put(
  { tables, record }: Change,
  type: 'operator.added' | 'operator.changed',
  row: OperatorRow,
  actor: { readonly kind: 'operator' | 'aggregator'; readonly id: string },
): Promise<void> {
  await tables.operators.put(row);
  const { name, roles, state, certificateSerial } = row;
  const serial = certificateSerial === undefined ? {} : { certificateSerial };
  const data = { operator: name, roles: [...roles], state, ...serial };
  await record({ type, actor, outcome: 'ok', data });
}
