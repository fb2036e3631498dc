export { memoryStore } from './store/memory.ts';
export { prismaStore } from './store/prisma.ts';
export type * from './store/rows.ts';
export type * from './store/store.ts';
