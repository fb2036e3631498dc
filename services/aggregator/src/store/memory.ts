import { MedleyError } from '@medley/kit';
import type {
  CheckpointRow,
  CosignatureRow,
  InvitationRow,
  LogEntryRow,
  RequestRow,
  RoundId,
  RoundRow,
  SignatureRow,
  SiloRow,
  SpendRow,
  StudyRow,
  ExclusionRow,
  WithdrawalRow,
  WitnessRow,
} from './rows.ts';
import {
  copyOfIdentity,
  emptyIdentity,
  identityOver,
  type IdentityContents,
} from './memoryIdentity.ts';
import { clone, sorted } from './memoryRow.ts';
import type { Rounds, Store, Tables } from './store.ts';

interface Contents extends IdentityContents {
  silos: Map<string, SiloRow>;
  invitations: Map<string, InvitationRow>;
  requests: Map<string, RequestRow>;
  studies: Map<string, StudyRow>;
  signatures: Map<string, SignatureRow>;
  withdrawals: Map<string, WithdrawalRow>;
  exclusions: Map<string, ExclusionRow>;
  spends: Map<string, SpendRow>;
  rounds: Map<string, RoundRow>;
  log: LogEntryRow[];
  checkpoints: CheckpointRow[];
  witnesses: Map<string, WitnessRow>;
  cosignatures: Map<string, CosignatureRow>;
}

/** The store without a disk: for tests and simulations. */
export function memoryStore(): Store {
  let contents: Contents = {
    ...emptyIdentity(),
    silos: new Map(),
    invitations: new Map(),
    requests: new Map(),
    studies: new Map(),
    signatures: new Map(),
    withdrawals: new Map(),
    exclusions: new Map(),
    spends: new Map(),
    rounds: new Map(),
    log: [],
    checkpoints: [],
    witnesses: new Map(),
    cosignatures: new Map(),
  };
  let queue: Promise<unknown> = Promise.resolve();
  return {
    tables: tablesOver(() => contents),
    transaction: (work) => {
      const run = queue.then(async () => {
        const draft = copyOf(contents);
        const result = await work(tablesOver(() => draft));
        contents = draft;
        return result;
      });
      queue = run.catch(() => undefined);
      return run;
    },
    close: async () => undefined,
  };
}

function copyOf(from: Contents): Contents {
  return {
    ...copyOfIdentity(from),
    silos: new Map(from.silos),
    invitations: new Map(from.invitations),
    requests: new Map(from.requests),
    studies: new Map(from.studies),
    signatures: new Map(from.signatures),
    withdrawals: new Map(from.withdrawals),
    exclusions: new Map(from.exclusions),
    spends: new Map(from.spends),
    rounds: new Map(from.rounds),
    log: [...from.log],
    checkpoints: [...from.checkpoints],
    witnesses: new Map(from.witnesses),
    cosignatures: new Map(from.cosignatures),
  };
}

function tablesOver(at: () => Contents): Tables {
  return {
    silos: {
      get: async (name) => clone(at().silos.get(name)),
      list: async () => sorted(at().silos, (row) => row.name),
      put: async (row) => void at().silos.set(row.name, clone(row)),
      touch: async (name, nowMs) => {
        const row = at().silos.get(name);
        if (row) at().silos.set(name, { ...row, lastSeenMs: nowMs });
      },
    },
    invitations: {
      get: async (id) => clone(at().invitations.get(id)),
      put: async (row) => void at().invitations.set(row.id, clone(row)),
    },
    requests: {
      get: async (id) => clone(at().requests.get(id)),
      put: async (row) => void at().requests.set(row.id, clone(row)),
    },
    ...identityOver(at),
    studies: {
      get: async (name) => clone(at().studies.get(name)),
      list: async () =>
        sorted(at().studies, (row) => `${String(row.createdMs).padStart(16, '0')} ${row.name}`),
      put: async (row) => void at().studies.set(row.name, clone(row)),
    },
    signatures: {
      get: async (study, silo) => clone(at().signatures.get(`${study} ${silo}`)),
      of: async (study) =>
        sorted(at().signatures, (row) => row.silo).filter((row) => row.study === study),
      put: async (row) => void at().signatures.set(`${row.study} ${row.silo}`, clone(row)),
    },
    withdrawals: {
      of: async (study) =>
        sorted(at().withdrawals, (row) => row.silo).filter((row) => row.study === study),
      put: async (row) => void at().withdrawals.set(`${row.study} ${row.silo}`, clone(row)),
    },
    exclusions: {
      of: async (study) =>
        sorted(at().exclusions, (row) => row.silo).filter((row) => row.study === study),
      put: async (row) => void at().exclusions.set(`${row.study} ${row.silo}`, clone(row)),
    },
    spends: {
      of: async (study) =>
        sorted(
          at().spends,
          ({ round, silo }) => `${String(round).padStart(6, '0')} ${silo}`,
        ).filter((row) => row.study === study),
      put: async (row) =>
        void at().spends.set(`${row.study} ${row.silo} ${String(row.round)}`, clone(row)),
    },
    rounds: roundsOver(at),
    ...logOver(at),
  };
}

function logOver(
  at: () => Contents,
): Pick<Tables, 'log' | 'checkpoints' | 'witnesses' | 'cosignatures'> {
  return {
    log: {
      count: async () => at().log.length,
      append: async (row) => {
        if (row.index !== at().log.length)
          throw conflict(`log entry ${row.index} is not the next one`);
        at().log.push(clone(row));
      },
      range: async (from, to) =>
        at()
          .log.slice(from, to)
          .map((row) => clone(row)),
    },
    checkpoints: {
      newest: async () => clone(at().checkpoints.at(-1)),
      of: async (size) => clone(at().checkpoints.find((row) => row.size === size)),
      list: async () => at().checkpoints.map((row) => clone(row)),
      append: async (row) => {
        if (at().checkpoints.some((other) => other.size === row.size)) {
          throw conflict(`a checkpoint of size ${row.size} exists`);
        }
        at().checkpoints.push(clone(row));
        at().checkpoints.sort((a, b) => a.size - b.size);
      },
    },
    witnesses: {
      get: async (silo) => clone(at().witnesses.get(silo)),
      put: async (row) => {
        const others = [...at().witnesses.values()].filter(({ silo }) => silo !== row.silo);
        if (others.some(({ verifierKey }) => verifierKey === row.verifierKey)) {
          throw conflict('another silo has this witness key');
        }
        at().witnesses.set(row.silo, clone(row));
      },
    },
    cosignatures: {
      of: async (size) =>
        sorted(at().cosignatures, (row) => row.silo).filter((row) => row.size === size),
      append: async (row) => {
        const key = `${row.size} ${row.silo}`;
        if (at().cosignatures.has(key)) throw conflict(`a cosignature ${key} exists`);
        at().cosignatures.set(key, clone(row));
      },
    },
  };
}

function roundsOver(at: () => Contents): Rounds {
  const of = (study: string): RoundRow[] =>
    sorted(at().rounds, (row) => keyOf(row)).filter((row) => row.study === study);
  return {
    get: async (id) => clone(at().rounds.get(keyOf(id))),
    of: async (study) => of(study),
    newest: async (study) => of(study).at(-1),
    newestClosed: async (study) => of(study).findLast((row) => row.step === 'closed'),
    open: async () => sorted(at().rounds, (row) => keyOf(row)).filter(isOpen),
    put: async (row) => {
      const other = of(row.study).find((one) => isOpen(one) && keyOf(one) !== keyOf(row));
      if (other && isOpen(row)) throw conflict(`attempt ${keyOf(other)} is still open`);
      at().rounds.set(keyOf(row), clone(row));
    },
    addBytes: async (id, up, down) => {
      const row = at().rounds.get(keyOf(id));
      if (!row) return;
      at().rounds.set(keyOf(id), {
        ...row,
        bytesUp: row.bytesUp + up,
        bytesDown: row.bytesDown + down,
      });
    },
  };
}

function isOpen(row: RoundRow): boolean {
  return row.step !== 'closed' && row.step !== 'aborted';
}

/** Sorts as text in the order of round and attempt. */
function keyOf(id: RoundId): string {
  return `${id.study} ${String(id.round).padStart(6, '0')} ${String(id.attempt).padStart(6, '0')}`;
}

function conflict(what: string): MedleyError {
  return new MedleyError('STORE_CONFLICT', what);
}
