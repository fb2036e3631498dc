/** Text as it may stand in HTML and SVG, attributes included. */
export function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** A linear scale from `domain` to `range`, both as [low, high]. */
export function scale(
  domain: readonly [number, number],
  range: readonly [number, number],
): (value: number) => number {
  const span = domain[1] - domain[0] || 1;
  return (value) => range[0] + ((value - domain[0]) / span) * (range[1] - range[0]);
}

/** Between three and seven round numbers that cover [low, high] from inside. */
export function ticks(low: number, high: number): number[] {
  const rough = (high - low || 1) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const found: number[] = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++) {
    found.push(Number((i * step).toPrecision(12)));
  }
  return found;
}

/** Attributes as text; numbers are cut to a tenth of a pixel so that pages stay small. */
function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => {
      const text = typeof value === 'number' ? String(Math.round(value * 10) / 10) : value;
      return ` ${name}="${escape(text)}"`;
    })
    .join('');
}

/** An element with `children` as finished markup. */
export function element(
  name: string,
  values: Readonly<Record<string, string | number>>,
  ...children: readonly string[]
): string {
  return `<${name}${attributes(values)}>${children.join('')}</${name}>`;
}

/** A text label. */
export function label(
  text: string,
  x: number,
  y: number,
  values: Readonly<Record<string, string | number>> = {},
): string {
  return element('text', { x, y, ...values }, escape(text));
}

/** A drawing that a screen reader announces by its title and description. */
export function drawing(
  size: { readonly width: number; readonly height: number },
  title: string,
  description: string,
  ...children: readonly string[]
): string {
  return element(
    'svg',
    {
      viewBox: `0 0 ${String(size.width)} ${String(size.height)}`,
      role: 'img',
      'aria-label': `${title}. ${description}`,
    },
    ...children,
  );
}
