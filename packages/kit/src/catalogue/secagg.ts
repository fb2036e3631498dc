import type { CatalogueSection } from './section.ts';

export const SECAGG = {} as const satisfies CatalogueSection;
