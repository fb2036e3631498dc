export { checkFinite, clipL2, normL2, type ClipReport, type TensorSpan } from './clip.ts';
