import type { CatalogueSection } from './section.ts';

export const IDENTITY = {} as const satisfies CatalogueSection;
