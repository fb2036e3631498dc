export * from './bytes.ts';
export * from './canonical.ts';
export { errorsMarkdown } from './catalogue/document.ts';
export { CATALOGUE, SECTIONS, isErrorCode, type ErrorCode } from './catalogue/index.ts';
export {
  EXIT,
  type CatalogueEntry,
  type ExitCode,
  type GrpcStatusName,
} from './catalogue/section.ts';
export * from './clock.ts';
export * from './config.ts';
export * from './error.ts';
export * from './file.ts';
export * from './lock.ts';
export * from './logger.ts';
export * from './rng.ts';
export * from './terminal.ts';
