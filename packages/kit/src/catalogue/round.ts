import type { CatalogueSection } from './section.ts';

export const ROUND = {} as const satisfies CatalogueSection;
