export { type Claim, type ClaimName } from './claim.ts';
export { eventsMarkdown } from './document.ts';
export * from './event.ts';
export { type StudyFiles } from './receipt.ts';
export { EVENT_SCHEMAS } from './schema.ts';
export { type LogExport } from './tree.ts';
export * from './verify.ts';
export * from './view/index.ts';
