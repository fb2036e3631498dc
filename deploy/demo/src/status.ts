/** The parts of `medley study status --json` that the demo reads; docs/protocol.md has the whole. */
export interface RoundReport {
  readonly round: number;
  readonly attempt: number;
  readonly kind: 'statistics' | 'training' | 'evaluation';
  readonly step: string;
  readonly openedMs: number;
  readonly closedMs: number | null;
  readonly steps: readonly { readonly step: string; readonly atMs: number }[];
  readonly sharers: readonly string[];
  readonly survivors: readonly string[];
  readonly dropped: readonly string[];
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly metrics: {
    readonly evaluation?: { readonly auc: number | null; readonly loss: number | null };
  } | null;
}

export interface StudyReport {
  readonly study: string;
  readonly state: string;
  readonly round: number;
  readonly lastRound: number;
  readonly waitingFor: string | null;
  readonly rounds: readonly RoundReport[];
  readonly privacy: {
    readonly unit: string;
    readonly adjacency: string;
    readonly accountant: string;
    readonly limit: number;
    readonly delta: number;
    readonly planned: number;
    readonly spent: readonly { readonly silo: string; readonly epsilon: number }[];
  } | null;
}

/** The part of `medley-agent budget --json` that the demo reads. */
export interface BudgetReport {
  readonly limit: { readonly epsilon: number; readonly delta: number };
}

/** `medley audit verify --json`. */
export interface AuditReport {
  readonly verified: boolean;
  readonly entries: number;
  readonly checkpoints: number;
  readonly claims: readonly {
    readonly name: string;
    readonly ok: boolean;
    readonly checked: number;
  }[];
}

/** `verify.mjs --json`. */
export interface BundleReport {
  readonly verified: boolean;
  readonly claims: readonly {
    readonly name: string;
    readonly ok: boolean;
    readonly checked: number;
    readonly detail: string;
  }[];
}

/** `medley model export --json`. */
export interface ExportReport {
  readonly file: string;
  readonly parameters: number;
}
