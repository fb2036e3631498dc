export * from './event.ts';
export { EVENT_SCHEMAS } from './schema.ts';
