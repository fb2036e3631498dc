export { createAuditService, publicAddress, readServerTls, type AuditOptions } from './app.ts';
export { AUDIT_SCHEMA, readAuditConfig, type AuditConfig } from './config.ts';
export { Prover } from './log/prover.ts';
export { openLogStore } from './store/sqlite.ts';
export type { LogStore, StoredCheckpoint } from './store/store.ts';
