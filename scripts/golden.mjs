// Trains recorded cases with the engine and compares: a row a case, exit code 1 unless all pass.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { runGoldenCase } from '@medley/autodiff';

const HELP = `npm run golden -- FOLDER… [--json]

Finds every case (a folder with case.json) in and under the folders, trains it as recorded and compares
losses, gradients of the first step and final weights. Exit code 0 only when every case passes.

  --json   one JSON document instead of the table
  --help   this text`;

const args = process.argv.slice(2);
const flags = args.filter((arg) => arg.startsWith('-'));
const folders = args.filter((arg) => !arg.startsWith('-'));
const unknown = flags.find((flag) => !['--json', '--help', '-h'].includes(flag));
if (flags.includes('--help') || flags.includes('-h')) {
  console.log(HELP);
} else if (unknown !== undefined || folders.length === 0) {
  console.error(unknown === undefined ? 'Name at least one folder.' : `Unknown option ${unknown}.`);
  console.error(HELP);
  process.exitCode = 2;
} else {
  await main();
}

async function main() {
  const cases = folders.flatMap(casesUnder);
  if (cases.length === 0) {
    console.error(`No case.json in or under ${folders.join(', ')}.`);
    process.exitCode = 1;
    return;
  }
  const results = [];
  for (const folder of cases) {
    const result = await resultOf(folder);
    results.push(result);
    if (!flags.includes('--json')) print(result, results.length === 1);
  }
  if (flags.includes('--json')) console.log(JSON.stringify(results, null, 2));
  const passed = results.filter(({ verdict }) => verdict === 'PASS').length;
  if (!flags.includes('--json')) console.log(`\n${passed} of ${results.length} cases pass`);
  if (passed < results.length) process.exitCode = 1;
}

async function resultOf(folder) {
  try {
    return await runGoldenCase(folder);
  } catch (error) {
    return {
      name: folder,
      verdict: 'FAIL',
      error: { code: error.code ?? 'INTERNAL', message: error.message },
    };
  }
}

function casesUnder(folder) {
  if (!existsSync(folder)) return [];
  if (existsSync(join(folder, 'case.json'))) return [folder];
  return readdirSync(folder)
    .sort()
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isDirectory())
    .flatMap(casesUnder);
}

function print(result, isFirst) {
  const row = (...cells) => cells.map((cell, i) => cell.padEnd([24, 12, 12, 12, 0][i])).join('');
  const number = (value) => (value === undefined ? '-' : value.toExponential(2));
  if (isFirst) console.log(row('case', 'loss', 'gradient', 'final', 'verdict'));
  const { name, lossError, gradientError, finalError, verdict } = result;
  console.log(row(name, number(lossError), number(gradientError), number(finalError), verdict));
  if (result.missing) console.log(`    missing: ${result.missing.join(', ')}`);
  if (result.notCompared?.length > 0)
    console.log(`    not in the model by name: ${result.notCompared.join(', ')}`);
  if (result.error) console.log(`    ${result.error.code}: ${result.error.message}`);
}
