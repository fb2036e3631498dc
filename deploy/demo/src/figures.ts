/** AUC of the same model trained three ways, on one silo's own test patients. */
export interface Compared {
  /** Trained on this silo's patients only. */
  readonly local: number;
  /** Trained by the consortium. */
  readonly federated: number;
  /** Trained on all five files at once; possible only because the demo owns them all. */
  readonly pooled: number;
}

/** One silo's line of the demo's table. Per-site figures come from the site itself. */
export interface SiloFigures {
  readonly name: string;
  readonly title: string;
  /** Training and test patients. */
  readonly train: number;
  readonly test: number;
  readonly auc: Compared;
  /** Mean squared error of the federated model's predicted probability; lower is better. */
  readonly brier: number;
}

/** One round as the operator saw it. */
export interface RoundFigures {
  readonly round: number;
  readonly kind: 'statistics' | 'training' | 'evaluation';
  readonly attempt: number;
  readonly seconds: number;
  /** Bytes of protocol messages from and to all silos together. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly sharers: readonly string[];
  readonly survivors: readonly string[];
  readonly dropped: readonly string[];
  /** When each protocol step was entered, milliseconds after the round opened. */
  readonly steps: readonly { readonly step: string; readonly atMs: number }[];
  /** Federated figures of the model that the round started from; null where the round has none. */
  readonly auc: number | null;
  readonly loss: number | null;
}

/** What differential privacy promised, took and cost; with `--dp` only. */
export interface PrivacyFigures {
  readonly study: string;
  /** Whom it protects: one `unit` more or less, by that accountant. */
  readonly unit: string;
  readonly adjacency: string;
  readonly accountant: string;
  readonly limit: number;
  readonly delta: number;
  /** ε of all rounds as planned. */
  readonly planned: number;
  /** ε that each hospital has spent on the study, and the limit of its own site. */
  readonly spent: readonly {
    readonly silo: string;
    readonly epsilon: number;
    readonly siteLimit: number;
  }[];
  /** Mean over the hospitals' own test patients, the same ones for both models. */
  readonly auc: { readonly with: number; readonly without: number };
  /** The newest statement in the audit log. */
  readonly leaf: {
    readonly index: number;
    readonly statement: Readonly<Record<string, unknown>>;
  };
}

/** What `--json FILE` writes. */
export interface DemoFigures {
  readonly schemaVersion: 1;
  readonly study: string;
  readonly silos: readonly SiloFigures[];
  readonly mean: { readonly auc: Compared; readonly brier: number };
  readonly rounds: readonly RoundFigures[];
  readonly dropout: {
    readonly silo: string;
    readonly killedInRound: number;
    /** Open when the agent was started again; null when the study ended first. */
    readonly restartedInRound: number | null;
    /** First round that had its update in the sum again. */
    readonly backInRound: number | null;
  } | null;
  readonly aggregatorSaw: {
    readonly maskedVectors: number;
    readonly words: number;
    /** Pearson's statistic of all masked bytes against the uniform distribution, 255 degrees of freedom. */
    readonly chiSquare: number;
    /** First bytes of one masked vector, hex: all that the aggregator has of one hospital. */
    readonly sample: string;
  };
  readonly audit: {
    readonly verified: boolean;
    readonly entries: number;
    readonly checkpoints: number;
    readonly claims: readonly {
      readonly name: string;
      readonly ok: boolean;
      readonly checked: number;
    }[];
  };
  /** What the exported bundle's own `verify.mjs` says of it. */
  readonly bundle: {
    readonly verified: boolean;
    readonly claims: readonly {
      readonly name: string;
      readonly ok: boolean;
      readonly checked: number;
      readonly detail: string;
    }[];
  };
  readonly model: { readonly file: string; readonly parameters: number };
  /** Null without `--dp`. */
  readonly privacy: PrivacyFigures | null;
  /** Wall time of the whole demo, install excluded. */
  readonly seconds: number;
}

/** Arithmetic mean; NaN for none. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
