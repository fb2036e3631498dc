export type { DemoFigures, RoundFigures, SiloFigures } from './figures.ts';
export { chiSquareOfBytes } from './uniformity.ts';
