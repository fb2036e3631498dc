// Makes a bare clone ready: dependencies, generated code, compiled output. Plain Node, so that it
// runs before anything is installed; does nothing that is already done.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `Medley needs Node 20.19 or newer; this is ${process.version}. Install a newer Node and run the command again.`,
  );
  process.exit(9);
}

const stamp = join(root, 'node_modules', '.medley-setup');
const wanted = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');
const have = existsSync(stamp) ? readFileSync(stamp, 'utf8') : '';
if (have !== wanted) {
  console.error('Installing dependencies from the npm registry (once, about a minute) …');
  // --ignore-scripts: no dependency runs code here. onnxruntime-node's script would fetch CUDA
  // libraries that Medley does not use; the CPU runtime ships inside its package.
  run('npm', ['ci', '--ignore-scripts', '--no-fund', '--no-audit', '--loglevel=error']);
  mkdirSync(join(root, 'node_modules'), { recursive: true });
  writeFileSync(stamp, wanted);
}
run(process.execPath, [join(root, 'scripts', 'gen.mjs')]);
run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']);

function run(command, args) {
  const done = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (done.status !== 0) {
    console.error(
      `Setup stopped: "${[command, ...args].join(' ')}" failed. What it printed above says why.`,
    );
    process.exit(done.status ?? 1);
  }
}
