import type { DemoFigures } from '../figures.ts';
import { drawing, element, label, scale, ticks } from './svg.ts';

const SIZE = { width: 720, height: 320 };
const PLOT = { left: 56, right: 600, top: 20, bottom: 270 };

/**
 * Federated AUC over the rounds, as the aggregator computed it from masked score histograms, beside
 * the means of the local-only and pooled models.
 */
export function convergencePlot(figures: DemoFigures): string {
  const points = figures.rounds.flatMap(({ round, auc }) => (auc === null ? [] : [{ round, auc }]));
  const { local, pooled } = figures.mean.auc;
  const values = [...points.map(({ auc }) => auc), local, pooled];
  const low = Math.min(...values) - 0.01;
  const high = Math.max(...values) + 0.01;
  const x = scale([points[0]?.round ?? 0, points.at(-1)?.round ?? 1], [PLOT.left, PLOT.right]);
  const y = scale([low, high], [PLOT.bottom, PLOT.top]);

  const grid = ticks(low, high).flatMap((tick) => [
    element('line', { class: 'grid', x1: PLOT.left, x2: PLOT.right, y1: y(tick), y2: y(tick) }),
    label(tick.toFixed(2), PLOT.left - 8, y(tick) + 4, { 'text-anchor': 'end' }),
  ]);
  const rounds = ticks(points[0]?.round ?? 0, points.at(-1)?.round ?? 1)
    .filter(Number.isInteger)
    .map((tick) => label(String(tick), x(tick), PLOT.bottom + 20, { 'text-anchor': 'middle' }));
  const reference = (value: number, name: string, style: string, below: boolean): string =>
    element('line', { class: style, x1: PLOT.left, x2: PLOT.right, y1: y(value), y2: y(value) }) +
    label(`${name} ${value.toFixed(3)}`, PLOT.right + 8, y(value) + (below ? 14 : -2), {
      class: `${style}-text`,
    });
  const line = points
    .map(({ round, auc }, i) => `${i === 0 ? 'M' : 'L'}${x(round).toFixed(1)} ${y(auc).toFixed(1)}`)
    .join('');
  const last = points.at(-1);
  return drawing(
    SIZE,
    'Convergence',
    `Federated AUC by round, from ${points[0]?.auc.toFixed(3) ?? '?'} to ${last?.auc.toFixed(3) ?? '?'}`,
    ...grid,
    ...rounds,
    label('round', (PLOT.left + PLOT.right) / 2, PLOT.bottom + 42, { 'text-anchor': 'middle' }),
    label('AUC', 8, PLOT.top + 4),
    reference(pooled, 'pooled', 'pooled', false),
    reference(local, 'local only', 'local', true),
    dropoutMark(figures, x),
    element('path', { class: 'federated', d: line }),
    ...(last
      ? [element('circle', { class: 'dot', cx: x(last.round), cy: y(last.auc), r: 4 })]
      : []),
  );
}

function dropoutMark(figures: DemoFigures, x: (round: number) => number): string {
  if (!figures.dropout) return '';
  const { killedInRound, silo } = figures.dropout;
  const at = x(killedInRound);
  return (
    element('line', { class: 'drop', x1: at, x2: at, y1: PLOT.top, y2: PLOT.bottom }) +
    label(`${silo} killed`, at + 5, PLOT.bottom - 8, { class: 'drop-text' })
  );
}
