import type { CatalogueSection } from './section.ts';

export const DATA = {} as const satisfies CatalogueSection;
