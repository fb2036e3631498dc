export * from './auc.ts';
export * from './feature.ts';
export * from './modelState.ts';
export { STUDY_SCHEMA } from './schema.ts';
export * from './split.ts';
export * from './study.ts';
