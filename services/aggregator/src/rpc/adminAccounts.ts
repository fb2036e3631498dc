import { MedleyError } from '@medley/kit';
import type { AdminMethods, Handlers, OperatorAccount, TokenSummary } from '@medley/rpc';
import type { AccountDesk } from '../accounts/accounts.ts';
import type { TokenDesk } from '../accounts/tokens.ts';
import type { OperatorRow, TokenRow } from '../store/rows.ts';
import type { Store } from '../store/store.ts';
import { operatorOf, wholeNumber } from './fields.ts';
import { OPERATOR_ROLES, TOKEN_SCOPES } from './permission.ts';

export interface AccountHandlerParts {
  readonly accounts: AccountDesk;
  readonly tokens: TokenDesk;
  readonly store: Store;
  /** How many operators it takes to approve a silo. */
  readonly approvals: number;
}

type AccountMethods =
  'listOperators' | 'addOperator' | 'changeOperator' | 'createToken' | 'listTokens' | 'revokeToken';

/** Operators' accounts and tokens. */
export function accountHandlers(
  parts: AccountHandlerParts,
): Pick<Handlers<AdminMethods>, AccountMethods> {
  const { accounts, tokens, store, approvals } = parts;
  return {
    listOperators: async () => ({
      operators: (await store.tables.operators.list()).map(account),
      approvalsNeeded: approvals,
    }),
    addOperator: async ({ name, roles, certificatePem }, context) => {
      await accounts.add(name, words(roles, OPERATOR_ROLES), certificatePem, operatorOf(context));
      return {};
    },
    changeOperator: async ({ name, roles, state, certificatePem }, context) => {
      const wanted = {
        ...(roles.length > 0 && { roles: words(roles, OPERATOR_ROLES) }),
        ...(state !== '' && { state: word(state, ['active', 'disabled']) }),
        ...(certificatePem !== '' && { certificatePem }),
      };
      return { operator: account(await accounts.change(name, wanted, operatorOf(context))) };
    },
    createToken: async ({ id, secretHash, label, scopes, expiresMs }, context) => {
      const order = {
        id,
        secretHash: new Uint8Array(secretHash),
        label,
        scopes: words(scopes, TOKEN_SCOPES),
        expiresMs: wholeNumber(expiresMs, 'expires_ms'),
      };
      await tokens.create(order, operatorOf(context));
      return {};
    },
    listTokens: async () => ({ tokens: (await store.tables.tokens.list()).map(tokenSummary) }),
    revokeToken: async ({ id }, context) => {
      await tokens.revoke(id, operatorOf(context));
      return {};
    },
  };
}

/** Words of the wire as those of the list. Throws ACCOUNT_INVALID. */
function words<Word extends string>(texts: readonly string[], known: readonly Word[]): Word[] {
  return texts.map((text) => word(text, known));
}

function word<Word extends string>(text: string, known: readonly Word[]): Word {
  const found = known.find((one) => one === text);
  if (found === undefined) {
    throw new MedleyError('ACCOUNT_INVALID', `not one of ${known.join(', ')}`);
  }
  return found;
}

function account({ name, roles, state, certificateSerial }: OperatorRow): OperatorAccount {
  return { name, roles: [...roles], state, certificateSerial: certificateSerial ?? '' };
}

function tokenSummary(row: TokenRow): TokenSummary {
  return {
    id: row.id,
    operator: row.operator,
    label: row.label,
    scopes: [...row.scopes],
    createdMs: String(row.createdMs),
    expiresMs: String(row.expiresMs),
    revokedMs: String(row.revokedMs ?? 0),
  };
}
