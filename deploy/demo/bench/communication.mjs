// Accuracy against bytes: the whole demo, once for each way in which updates may travel.
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { parseDocument } from 'yaml';

export const HELP = `npm run bench -- communication [--rounds R] [--json FILE]

Runs the demo's study (five hospitals, real processes, masked sums) once for each width of words, with
and without rotation of the updates, and prints the mean AUC and Brier score of the federated model
beside the bytes that all hospitals together send in a training round.

  --rounds R   training rounds (as the demo's study says)
  --json FILE  write the figures to FILE

Figures: settings[] {bits, ringBits, rotation, coordinate, auc, brier, bytesUp, bytesDown}.`;

/** Bits as five silos allow in each ring. A rotated update needs a range of its own. */
const SETTINGS = [
  { bits: 22, ringBits: 32, rotation: false, coordinate: 0.25 },
  { bits: 13, ringBits: 16, rotation: false, coordinate: 0.25 },
  { bits: 9, ringBits: 12, rotation: false, coordinate: 0.25 },
  { bits: 9, ringBits: 12, rotation: true, coordinate: 0.25 },
  { bits: 6, ringBits: 12, rotation: false, coordinate: 0.25 },
  { bits: 6, ringBits: 12, rotation: true, coordinate: 0.25 },
  { bits: 4, ringBits: 12, rotation: false, coordinate: 0.25 },
  { bits: 4, ringBits: 12, rotation: true, coordinate: 0.25 },
];
const demo = fileURLToPath(new URL('..', import.meta.url));

/** Runs the bench; gives the exit code. */
export async function main(args) {
  const options = optionsOf(args);
  if (options === undefined) return 2;
  const folder = await mkdtemp(join(tmpdir(), 'medley-bench-'));
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  try {
    const settings = [];
    console.log('BITS  RING  ROTATED     AUC   BRIER   BYTES UP');
    for (const setting of SETTINGS) {
      settings.push({ ...setting, ...(await figuresOf(setting, folder, options, stop.signal)) });
      print(settings.at(-1));
    }
    if (options.json) await writeFile(options.json, `${JSON.stringify({ settings }, null, 2)}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`${stop.signal.aborted ? 'interrupted' : error.message}\n`);
    return stop.signal.aborted ? 130 : 1;
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
    await rm(folder, { recursive: true, force: true });
  }
}

async function figuresOf({ coordinate, ...secureAggregation }, folder, { rounds }, signal) {
  const silos = join(folder, 'silos');
  for (const part of ['sites', 'data', 'study']) {
    await cp(join(demo, part), join(silos, part), { recursive: true });
  }
  const file = join(silos, 'study', 'study.yaml');
  const study = parseDocument(await readFile(file, 'utf8'));
  for (const [key, value] of Object.entries(secureAggregation)) {
    study.setIn(['secureAggregation', key], value);
  }
  study.setIn(['clipping', 'coordinate'], coordinate);
  await writeFile(file, study.toString());
  const json = join(folder, 'figures.json');
  await run(
    [
      ...[join(demo, 'dist', 'main.js'), '--silos-folder', silos, '--json', json],
      ...['--out', join(folder, 'out'), '--work', join(folder, 'work')],
      ...(rounds === undefined ? [] : ['--rounds', rounds]),
    ],
    signal,
  );
  const figures = JSON.parse(await readFile(json, 'utf8'));
  // The round in which an agent is killed has one vector less.
  const whole = figures.rounds.filter(
    ({ kind, survivors }) => kind === 'training' && survivors.length === figures.silos.length,
  );
  const mean = (value) => whole.reduce((sum, round) => sum + value(round), 0) / whole.length;
  return {
    auc: figures.mean.auc.federated,
    brier: figures.mean.brier,
    bytesUp: Math.round(mean(({ bytesUp }) => bytesUp)),
    bytesDown: Math.round(mean(({ bytesDown }) => bytesDown)),
  };
}

/** The demo ends its own processes when it is told to stop. */
async function run(args, signal) {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const stop = () => child.kill('SIGTERM');
  signal.addEventListener('abort', stop);
  let said = '';
  child.stderr.on('data', (text) => (said = `${said}${text}`.slice(-2000)));
  try {
    const code = await new Promise((resolve) => child.once('exit', resolve));
    if (code !== 0) throw new Error(`the demo ended with ${code}: ${said}`);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function optionsOf(args) {
  try {
    const options = { rounds: { type: 'string' }, json: { type: 'string' } };
    const { values } = parseArgs({ args, options });
    if (values.rounds !== undefined && !/^[1-9]\d{0,3}$/.test(values.rounds)) {
      throw new Error('--rounds is a whole number from 1 to 9999');
    }
    return values;
  } catch (error) {
    console.error(`${error.message}\n\n${HELP}`);
    return undefined;
  }
}

function print({ bits, ringBits, rotation, auc, brier, bytesUp }) {
  const cells = [
    String(bits).padStart(4),
    String(ringBits).padStart(6),
    (rotation ? 'yes' : 'no').padStart(9),
    auc.toFixed(4).padStart(8),
    brier.toFixed(4).padStart(8),
    String(bytesUp).padStart(11),
  ];
  console.log(cells.join(''));
}
