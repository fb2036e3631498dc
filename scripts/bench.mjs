// npm run bench -- WHAT [options]: each WHAT is a module with HELP and main(args) → exit code.
const BENCHES = {
  communication: '../deploy/demo/bench/communication.mjs',
  round: '../deploy/demo/bench/round.mjs',
  secagg: '../services/aggregator/bench/secagg.mjs',
  train: '../packages/autodiff/bench/train.mjs',
};

const HELP = `npm run bench -- WHAT [options]

  communication  accuracy of the demo against the bytes that updates take
  round          whole masked rounds through real processes over mutual TLS
  secagg         time and memory of one round of secure aggregation, in one process
  train          time and memory of one training step beside PyTorch and TensorFlow.js

npm run bench -- WHAT --help tells the options.`;

const [what, ...args] = process.argv.slice(2);
const path = Object.hasOwn(BENCHES, what ?? '') ? BENCHES[what] : undefined;
if (path === undefined) {
  const isHelp = what === '--help' || what === '-h';
  (isHelp ? console.log : console.error)(HELP);
  process.exitCode = isHelp ? 0 : 2;
} else {
  const bench = await import(new URL(path, import.meta.url).href);
  if (args.includes('--help') || args.includes('-h')) console.log(bench.HELP);
  else process.exitCode = await bench.main(args);
}
