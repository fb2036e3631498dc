import type { Compared, DemoFigures } from '../figures.ts';
import { drawing, element, label, scale, ticks } from './svg.ts';

const SERIES: readonly { readonly key: keyof Compared; readonly name: string }[] = [
  { key: 'local', name: 'local only' },
  { key: 'federated', name: 'federated' },
  { key: 'pooled', name: 'pooled' },
];
/** Room for a title of about 30 letters; longer ones should be shortened in the site's file. */
const LEFT = 240;
const RIGHT = 665;
const ROW = 66;
const BAR = 14;

/** AUC of the three models on every silo's own test patients. The axis starts at 0.5: a coin toss. */
export function siloBars(figures: DemoFigures): string {
  const height = figures.silos.length * ROW + 56;
  const highest = Math.max(...figures.silos.flatMap(({ auc }) => Object.values(auc) as number[]));
  const x = scale([0.5, Math.max(0.6, highest + 0.02)], [LEFT, RIGHT]);
  const grid = ticks(0.5, highest + 0.02).flatMap((tick) => [
    element('line', { class: 'grid', x1: x(tick), x2: x(tick), y1: 8, y2: height - 44 }),
    label(tick.toFixed(2), x(tick), height - 28, { 'text-anchor': 'middle' }),
  ]);
  const rows = figures.silos.flatMap((silo, i) => {
    const top = 14 + i * ROW;
    return [
      label(silo.title, LEFT - 10, top + 20, { 'text-anchor': 'end', class: 'strong' }),
      label(`${String(silo.test)} test patients`, LEFT - 10, top + 36, { 'text-anchor': 'end' }),
      ...SERIES.map(({ key }, j) => {
        const y = top + j * (BAR + 2);
        const to = Math.max(x(0.5), x(silo.auc[key]));
        return (
          element('rect', {
            class: `bar ${key}`,
            x: LEFT,
            y,
            width: to - LEFT,
            height: BAR,
          }) + label(silo.auc[key].toFixed(3), to + 5, y + BAR - 3, { class: 'small' })
        );
      }),
    ];
  });
  const legend = SERIES.flatMap(({ key, name }, i) => [
    element('rect', {
      class: `bar ${key}`,
      x: LEFT + i * 120,
      y: height - 16,
      width: 12,
      height: 12,
    }),
    label(name, LEFT + 18 + i * 120, height - 6),
  ]);
  return drawing(
    { width: 720, height },
    'AUC by silo',
    'Local-only, federated and pooled model on each silo’s own test patients',
    ...grid,
    ...rows,
    ...legend,
  );
}
