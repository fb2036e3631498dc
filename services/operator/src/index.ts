export { checkPending } from './approval.ts';
export { runOperator, type Surroundings } from './cli/run.ts';
export { createConsortium, type MadeConsortium, type NewConsortium } from './consortium.ts';
export { OPERATOR_SCHEMA, openHome, type OperatorConfig, type OperatorHome } from './home.ts';
export { readLogFolder, writeLogFolder, type DownloadedLog } from './logFolder.ts';
export type { Metrics, RoundReport, StudyLine, StudyReport } from './progress.ts';
