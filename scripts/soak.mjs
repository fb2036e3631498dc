// npm run soak: long attendance and floods, from the sources of tests/soak.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const flags = ['--import', at('typescript.mjs'), '--conditions=medley-source'];
const args = process.argv.slice(2);
const run = spawnSync(process.execPath, [...flags, at('../tests/soak/main.ts'), ...args], {
  stdio: 'inherit',
});
process.exitCode = run.status ?? 1;
