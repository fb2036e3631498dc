import type { DemoFigures, RoundFigures } from '../figures.ts';
import { drawing, element, label, scale } from './svg.ts';

const STEPS: Readonly<Record<string, string>> = {
  advertise: 'R0 keys',
  share: 'R1 shares',
  mask: 'R2 train, mask',
  confirm: 'R3 confirm',
  release: 'R4 unmask',
};
const ORDER = Object.keys(STEPS);
const LEFT = 205;
const RIGHT = 700;
const LANE = 30;

/** The round that a silo was killed in, or else the last training round. */
export function timelineRound(figures: DemoFigures): RoundFigures | undefined {
  const training = figures.rounds.filter(({ kind }) => kind === 'training');
  return training.find(({ round }) => round === figures.dropout?.killedInRound) ?? training.at(-1);
}

/**
 * One lane a silo, one column a protocol step. Columns have equal width (their true durations differ
 * by a factor of a hundred and stand under them).
 */
export function roundTimeline(figures: DemoFigures): string {
  const round = timelineRound(figures);
  if (!round) return '';
  const names = figures.silos.map(({ name }) => name);
  const height = 46 + names.length * LANE + 46;
  const x = scale([0, ORDER.length], [LEFT, RIGHT]);
  const bottom = 40 + names.length * LANE;
  const heads = ORDER.flatMap((step, i) => [
    label(STEPS[step] ?? step, (x(i) + x(i + 1)) / 2, 22, {
      'text-anchor': 'middle',
      class: 'small strong',
    }),
    element('line', { class: 'grid', x1: x(i), x2: x(i), y1: 30, y2: bottom }),
    label(duration(round, step), (x(i) + x(i + 1)) / 2, bottom + 18, {
      'text-anchor': 'middle',
      class: 'small',
    }),
  ]);
  const lanes = names.flatMap((name, lane) => {
    const y = 36 + lane * LANE;
    const title = figures.silos[lane]?.title ?? name;
    return [
      label(title, LEFT - 10, y + 18, { 'text-anchor': 'end' }),
      ...ORDER.map((step, i) => cell(round, name, step, x(i), x(i + 1), y)),
    ];
  });
  return drawing(
    { width: 720, height },
    `Protocol of round ${String(round.round)}`,
    `Who took part in which step; dropped: ${round.dropped.join(', ') || 'nobody'}`,
    ...heads,
    ...lanes,
    label(
      `round ${String(round.round)}: ${round.seconds.toFixed(2)} s, ${String(round.survivors.length)} of ${String(names.length)} silos in the sum`,
      LEFT,
      bottom + 40,
    ),
  );
}

function cell(
  round: RoundFigures,
  silo: string,
  step: string,
  from: number,
  to: number,
  y: number,
): string {
  const box = { x: from + 3, y: y + 3, width: to - from - 6, height: LANE - 8, rx: 4 };
  if (round.survivors.includes(silo)) return element('rect', { class: 'took', ...box });
  const shared = round.sharers.includes(silo);
  if (shared && (step === 'advertise' || step === 'share'))
    return element('rect', { class: 'took', ...box });
  if (shared && step === 'mask') {
    return (
      element('rect', { class: 'lost', ...box }) +
      label('✖ killed', (from + to) / 2, y + 18, {
        'text-anchor': 'middle',
        class: 'drop-text small',
      })
    );
  }
  if (shared && step === 'release') {
    return (
      element('rect', { class: 'rebuilt', ...box }) +
      label('masks rebuilt', (from + to) / 2, y + 18, { 'text-anchor': 'middle', class: 'small' })
    );
  }
  return element('rect', { class: 'absent', ...box });
}

function duration(round: RoundFigures, step: string): string {
  const at = round.steps.findIndex((entry) => entry.step === step);
  const from = round.steps[at]?.atMs;
  const to = round.steps[at + 1]?.atMs ?? round.seconds * 1000;
  return from === undefined ? '–' : `${(to - from).toFixed(0)} ms`;
}
