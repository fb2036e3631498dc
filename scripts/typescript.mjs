// node --import ./scripts/typescript.mjs FILE.ts: runs TypeScript sources as jest does, without a build.
// Stripping alone would do from Node 22 on; this project still runs on 20.
import { register } from 'node:module';

register('./typescriptHooks.mjs', import.meta.url);
