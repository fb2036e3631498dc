import { EXIT, type CatalogueSection } from './section.ts';

/** The consortium in a box. */
export const DEMO = {
  DEMO_STEP_FAILED: {
    grpc: 'INTERNAL',
    http: 500,
    exit: EXIT.unexpected,
    sentence: 'A step of the demo failed.',
    remedy: "Read the log files in the demo's working folder, which is kept after a failure.",
  },
  DEMO_SILOS_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.config,
    sentence: 'The folder given by --silos-folder does not hold a consortium.',
    remedy:
      'It needs sites/*.yaml (three or more and pooled.yaml) and study/study.yaml, as deploy/demo has.',
  },
} as const satisfies CatalogueSection;
