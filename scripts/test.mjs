// `npm test`: unit, contract, conformance and integration tests on all cores, then the end-to-end
// tests one after the other, because they start whole consortia and say how long those take.
// With arguments, one run of jest with exactly those (npm test -- packages/kit).
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'medley-test-'));
const args = process.argv.slice(2);
const totals = { passed: 0, failed: 0, skipped: 0 };
let status = 0;

if (args.length > 0) jest(args);
else {
  jest(['--testPathIgnorePatterns', '/node_modules/', '/tests/e2e/']);
  jest(['--runInBand', 'tests/e2e/']);
}
rmSync(folder, { recursive: true, force: true });
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(status);

function jest(more) {
  const result = join(folder, 'result.json');
  rmSync(result, { force: true });
  const run = spawnSync(
    process.execPath,
    [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      join(root, 'node_modules/jest/bin/jest.js'),
      ...more,
      '--json',
      `--outputFile=${result}`,
    ],
    // jest writes its report to standard error; with --json its standard output is the result again.
    { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  if (run.status !== 0) status = run.status ?? 1;
  try {
    const counts = JSON.parse(readFileSync(result, 'utf8'));
    totals.passed += counts.numPassedTests;
    // A suite that could not even be loaded has no tests to count, and is a failure all the same.
    totals.failed += counts.numFailedTests + counts.numRuntimeErrorTestSuites;
    totals.skipped += counts.numPendingTests + counts.numTodoTests;
  } catch {
    totals.failed += 1;
  }
}
