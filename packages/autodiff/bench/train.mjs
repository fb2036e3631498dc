// Times training steps: every case and peer in a process of its own, one thread each, one at a time.
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { CASES } from '../dist/bench/case.js';

export const HELP = `npm run bench -- train [--json FILE] [--case NAME…] [--no-install]

Median milliseconds of one training step (forward, backward, update) and the peak memory of its process,
for each case with Medley, PyTorch and TensorFlow.js (CPU and WASM back ends), one thread each. A peer
that is absent or cannot train the model stands as "-" (null in JSON), with the reason under "notes".

  --json FILE    write the figures to FILE
  --case NAME    only this case; may be given several times. Cases:
${CASES.map(({ name }) => `                   ${name}`).join('\n')}
  --no-install   leave TensorFlow.js out when it is not installed; otherwise it is fetched once, into
                 packages/autodiff/bench/tensorflow (310 MB), with the versions of its lock file

PyTorch is used where \${PYTHON:-python3} has it. Environment: PYTHON, a Python interpreter.`;

/** Beyond this a peer counts as unable: TensorFlow.js needs minutes for a convolution in JavaScript. */
const LIMIT_MS = 120_000;
const TENSORFLOW = fileURLToPath(new URL('tensorflow', import.meta.url));
const run = promisify(execFile);

/** Runs the bench; gives the exit code. */
export async function main(args) {
  const options = optionsOf(args);
  if (options === undefined) return 2;
  const python = process.env.PYTHON ?? 'python3';
  const hasTorch = spawnSync(python, ['-c', 'import torch'], { stdio: 'ignore' }).status === 0;
  const hasTensorflow = options.install ? installed() : existsSync(`${TENSORFLOW}/node_modules`);
  const here = (file) => fileURLToPath(new URL(file, import.meta.url));
  const tfjs = (backend) => (name) =>
    hasTensorflow
      ? figures(process.execPath, [`${TENSORFLOW}/peer.mjs`, name, backend])
      : { note: 'TensorFlow.js is not installed' };
  const peers = {
    medley: (name) => figures(process.execPath, [here('medley.mjs'), name]),
    torch: (name) =>
      hasTorch
        ? figures(python, [here('torch_peer.py'), name])
        : { note: 'PyTorch is not installed' },
    tfjsCpu: tfjs('cpu'),
    tfjsWasm: tfjs('wasm'),
  };
  const cases = [];
  for (const { name } of CASES.filter((one) => options.cases?.includes(one.name) ?? true)) {
    const found = {};
    for (const [peer, time] of Object.entries(peers)) found[peer] = await time(name);
    cases.push(row(name, found));
    print(cases.at(-1), cases.length === 1);
  }
  const document = { machine: cpus()[0]?.model ?? 'unknown', node: process.version, cases };
  if (options.json) writeFileSync(options.json, `${JSON.stringify(document, null, 2)}\n`);
  return cases.some(({ medleyMs }) => medleyMs === null) ? 1 : 0;
}

function optionsOf(args) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        json: { type: 'string' },
        case: { type: 'string', multiple: true },
        'no-install': { type: 'boolean', default: false },
      },
    });
    const unknown = values.case?.find((name) => !CASES.some((one) => one.name === name));
    if (unknown !== undefined) throw new Error(`There is no case ${unknown}.`);
    return { json: values.json, cases: values.case, install: !values['no-install'] };
  } catch (error) {
    console.error(`${error.message}\n\n${HELP}`);
    return undefined;
  }
}

function installed() {
  if (existsSync(`${TENSORFLOW}/node_modules`)) return true;
  console.error('Installing TensorFlow.js for the comparison (once) …');
  const flags = ['--ignore-scripts', '--no-fund', '--no-audit', '--loglevel=error'];
  const isWindows = process.platform === 'win32';
  return spawnSync('npm', ['ci', ...flags], { cwd: TENSORFLOW, shell: isWindows }).status === 0;
}

/** What a peer's process prints on its last line, or why it printed nothing. */
async function figures(command, args) {
  const env = { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' };
  try {
    const { stdout } = await run(command, args, { env, timeout: LIMIT_MS });
    return JSON.parse(stdout.trim().split('\n').at(-1)) ?? { note: 'no such training' };
  } catch (error) {
    if (error.killed) return { note: `no step within ${LIMIT_MS / 1000} s` };
    const lines = String(error.stderr ?? error.message).split('\n');
    return { note: lines.find((line) => /error/i.test(line))?.trim() ?? 'failed' };
  }
}

function row(name, { medley, torch, tfjsCpu, tfjsWasm }) {
  const notes = Object.entries({ medley, torch, tfjsCpu, tfjsWasm }).flatMap(([peer, { note }]) =>
    note === undefined ? [] : [[peer, note]],
  );
  return {
    name,
    medleyMs: medley.ms ?? null,
    torchMs: torch.ms ?? null,
    tfjsCpuMs: tfjsCpu.ms ?? null,
    tfjsWasmMs: tfjsWasm.ms ?? null,
    peakBytes: medley.peakBytes ?? null,
    torchPeakBytes: torch.peakBytes ?? null,
    parameters: medley.parameters,
    buildMs: medley.buildMs,
    ...(medley.noiseMs === undefined ? {} : { noiseMs: medley.noiseMs, method: medley.method }),
    ...(torch.version === undefined ? {} : { torchVersion: torch.version }),
    notes: Object.fromEntries(notes),
  };
}

function print(found, isFirst) {
  const line = (...cells) => console.log(cells.map((cell, i) => cell.padEnd(i ? 11 : 28)).join(''));
  const ms = (value) => (value === null ? '-' : value.toPrecision(3));
  if (isFirst) line('ms per step', 'medley', 'torch', 'ratio', 'tfjs cpu', 'tfjs wasm', 'peak MiB');
  const { medleyMs, torchMs, tfjsCpuMs, tfjsWasmMs, peakBytes } = found;
  const ratio = medleyMs !== null && torchMs !== null ? (medleyMs / torchMs).toFixed(2) : '-';
  const peak = peakBytes === null ? '-' : (peakBytes / 2 ** 20).toFixed(0);
  line(found.name, ms(medleyMs), ms(torchMs), ratio, ms(tfjsCpuMs), ms(tfjsWasmMs), peak);
}
