import type { CatalogueSection } from './section.ts';

export const MODEL = {} as const satisfies CatalogueSection;
