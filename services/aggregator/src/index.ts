export {
  assembleAggregator,
  createAggregator,
  publicEndpoints,
  type Aggregator,
  type AggregatorKeys,
  type AggregatorOptions,
  type AggregatorParts,
} from './app.ts';
export { openBlobs, type Blobs, type Expected } from './blob/blobs.ts';
export { AGGREGATOR_SCHEMA, readAggregatorConfig, type AggregatorConfig } from './config.ts';
export { readKeys } from './keys.ts';
export { serve, type ServeOptions } from './serve.ts';
export { cachedStore } from './store/cached.ts';
export { memoryStore } from './store/memory.ts';
export { prismaStore } from './store/prisma.ts';
export type * from './store/rows.ts';
export type * from './store/store.ts';
