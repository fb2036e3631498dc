import type { CatalogueSection } from './section.ts';

export const CHARTER = {} as const satisfies CatalogueSection;
