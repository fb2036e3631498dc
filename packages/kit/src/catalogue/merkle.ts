import type { CatalogueSection } from './section.ts';

export const MERKLE = {} as const satisfies CatalogueSection;
