import type { CatalogueSection } from './section.ts';

export const RPC = {} as const satisfies CatalogueSection;
