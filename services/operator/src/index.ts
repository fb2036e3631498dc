export { checkPending, type Pending } from './approval.ts';
export { operatorProgram } from './cli/program.ts';
export type { CommandContext } from './context.ts';
export { createConsortium, type NewConsortium } from './consortium.ts';
export { OPERATOR_SCHEMA, openHome, type OperatorConfig, type OperatorHome } from './home.ts';
export { readLogFolder, writeLogFolder, type DownloadedLog } from './logFolder.ts';
export type { Metrics, RoundReport, StudyReport } from './progress.ts';
