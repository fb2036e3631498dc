import type { DemoFigures, RoundFigures } from '../figures.ts';
import { siloBars } from './bars.ts';
import { convergencePlot } from './convergence.ts';
import { STYLE } from './style.ts';
import { escape } from './svg.ts';
import { roundTimeline, timelineRound } from './timeline.ts';

/** The whole report as one self-contained HTML page: no script, no link to anything outside. */
export function reportPage(figures: DemoFigures): string {
  const { auc } = figures.mean;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Medley demo: ${escape(figures.study)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${String(figures.silos.length)} hospitals, one model, no row shared</h1>
<p class="lead">${escape(figures.study)}. Every hospital trained on its own patients; the aggregator received masked vectors and learned only their sums.</p>
<ul class="cards">
${card('mean AUC, federated', auc.federated.toFixed(3), `local only ${auc.local.toFixed(3)} · pooled ${auc.pooled.toFixed(3)}`)}
${card('training rounds', String(trainingRounds(figures).length), `${perRound(figures)} s each on average`)}
${card('audit trail', figures.audit.verified ? 'verified' : 'FAILED', `${String(figures.audit.entries)} entries, ${String(figures.audit.checkpoints)} checkpoints`)}
${card('whole demo', `${figures.seconds.toFixed(0)} s`, 'install excluded')}
</ul>
${section('Convergence', convergencePlot(figures), roundsTable(figures), 'Each point is computed by the aggregator from masked histograms of scores on all hospitals’ held-out patients together; the dashed lines are means over the hospitals.')}
${section('Each hospital’s own test patients', siloBars(figures), silosTable(figures), 'The pooled model exists only because this demo owns all five files; in a real consortium nobody can train it.')}
${section(`Round ${String(timelineRound(figures)?.round ?? 0)}, step by step`, roundTimeline(figures), '', dropoutText(figures))}
<section>
<h2>What the aggregator could see</h2>
<p>${String(figures.aggregatorSaw.maskedVectors)} masked vectors of ${String(figures.aggregatorSaw.words)} words or fewer. This is the beginning of one:</p>
<pre>${escape(figures.aggregatorSaw.sample)}</pre>
<p>Over all their bytes χ² = ${figures.aggregatorSaw.chiSquare.toFixed(1)} with 255 degrees of freedom (a uniform source
exceeds 377.1 once in a million times). From the sums it learned the mean update, the number of training patients
of all hospitals together, and the federated metrics above; of one hospital: that it took part.</p>
</section>
<section>
<h2>Audit trail</h2>
<table><thead><tr><th>claim</th><th>checked</th><th>result</th></tr></thead><tbody>
${figures.audit.claims.map(({ name, ok, checked }) => `<tr><td>${escape(name)}</td><td class="n">${String(checked)}</td><td>${ok ? 'pass' : '<strong>FAIL</strong>'}</td></tr>`).join('\n')}
</tbody></table>
<p>The folder <code>audit/</code> beside this page is what an auditor gets. <code>node audit/verify.mjs audit</code>
checks it offline, with no code of the programs that wrote it:</p>
<table><thead><tr><th>claim</th><th>result</th><th>what holds</th></tr></thead><tbody>
${figures.bundle.claims.map(({ name, ok, detail }) => `<tr><td>${escape(name)}</td><td>${ok ? 'pass' : '<strong>FAIL</strong>'}</td><td>${escape(detail)}</td></tr>`).join('\n')}
</tbody></table>
<p>The log’s files lie in <code>audit/</code> too, the trained model in <code>${escape(figures.model.file)}</code>
(${String(figures.model.parameters)} parameters; it opens in stock ONNX Runtime and takes unstandardised features).</p>
</section>
</main>
</body>
</html>
`;
}

function card(name: string, value: string, note: string): string {
  return `<li><span>${escape(name)}</span><strong>${escape(value)}</strong><small>${escape(note)}</small></li>`;
}

function section(title: string, plot: string, table: string, note: string): string {
  const twin = table && `<details><summary>View as table</summary>${table}</details>`;
  return `<section><h2>${escape(title)}</h2><figure>${plot}</figure><p>${escape(note)}</p>${twin}</section>`;
}

function perRound(figures: DemoFigures): string {
  const training = trainingRounds(figures);
  const total = training.reduce((sum, { seconds }) => sum + seconds, 0);
  return (total / Math.max(1, training.length)).toFixed(2);
}

function trainingRounds(figures: DemoFigures): readonly RoundFigures[] {
  return figures.rounds.filter(({ kind }) => kind === 'training');
}

function dropoutText(figures: DemoFigures): string {
  if (!figures.dropout) return 'No hospital dropped out of this round.';
  const { silo, killedInRound, restartedInRound, backInRound } = figures.dropout;
  const restarted =
    restartedInRound === null
      ? 'It was not started again'
      : `It was started again in round ${String(restartedInRound)}`;
  const back =
    backInRound === null ? '.' : ` and is in the sum again from round ${String(backInRound)} on.`;
  return (
    `The agent of ${silo} was killed (SIGKILL) in round ${String(killedInRound)} after it had dealt its shares and before it ` +
    `sent its masked vector. The others rebuilt the masks it shared with them, and only those. ${restarted}${back}`
  );
}

function silosTable(figures: DemoFigures): string {
  const rows = figures.silos.map(({ title, train, test, auc, brier }) => [
    title,
    train,
    test,
    auc.local.toFixed(3),
    auc.federated.toFixed(3),
    auc.pooled.toFixed(3),
    brier.toFixed(3),
  ]);
  return grid(
    ['hospital', 'train', 'test', 'AUC local', 'AUC federated', 'AUC pooled', 'Brier'],
    rows,
  );
}

function roundsTable(figures: DemoFigures): string {
  const rows = figures.rounds.map(
    ({ round, kind, auc, loss, seconds, bytesUp, bytesDown, survivors }) => [
      round,
      kind,
      auc?.toFixed(4) ?? '–',
      loss?.toFixed(4) ?? '–',
      seconds.toFixed(2),
      bytesUp,
      bytesDown,
      survivors.length,
    ],
  );
  return grid(
    ['round', 'kind', 'AUC', 'loss', 'seconds', 'bytes up', 'bytes down', 'survivors'],
    rows,
  );
}

function grid(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = (row: readonly (string | number)[], tag: string): string =>
    row
      .map((value, i) => `<${tag}${i === 0 ? '' : ' class="n"'}>${escape(String(value))}</${tag}>`)
      .join('');
  return `<table><thead><tr>${cells(head, 'th')}</tr></thead><tbody>${rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('')}</tbody></table>`;
}
