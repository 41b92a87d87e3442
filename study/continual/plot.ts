import { type Measurement, mean, nameOf } from './results.ts';

const [WIDTH, HEIGHT] = [640, 320];
const ROOM = { left: 60, right: 170, top: 28, bottom: 40 };
/** Apart for eyes that tell no red from green; light and dark grounds alike. */
const COLOURS = ['#3b78d8', '#d9730d', '#1f9d8a', '#b04ac0', '#8a8f00', '#c8385a'];

/**
 * FID of the first turn's classes after each turn, a line a variant (mean over classes and seeds): how they are forgotten.
 * An SVG that needs nothing else.
 */
export function forgettingPlot(measurements: readonly Measurement[], turns: readonly (readonly number[])[]): string {
  const names = [...new Set(measurements.map(nameOf))];
  const first = turns[0]!;
  const lines = names.map((name) =>
    turns.map((_, turn) => {
      const of = measurements.filter((one) => nameOf(one) === name && one.turn === turn);
      return of.length === 0 ? null : mean(of.flatMap(({ fid }) => first.map((label) => fid[label]!)));
    }),
  );
  const most = Math.max(1, ...lines.flat().map((value) => value ?? 0));
  const power = 10 ** Math.floor(Math.log10(most));
  const top = (Math.ceil((2 * most) / power) * power) / 2;
  const x = (turn: number) => ROOM.left + ((WIDTH - ROOM.left - ROOM.right) * turn) / Math.max(1, turns.length - 1);
  const y = (value: number) => HEIGHT - ROOM.bottom - ((HEIGHT - ROOM.top - ROOM.bottom) * value) / top;
  const text = (at: readonly [number, number], what: string, anchor = 'start', colour = '#7a8490') =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" text-anchor="${anchor}" fill="${colour}">${what}</text>`;
  const grid = [0, 1 / 3, 2 / 3, 1].map((part) => {
    const at = y(part * top).toFixed(1);
    const line = `<line x1="${ROOM.left}" x2="${WIDTH - ROOM.right}" y1="${at}" y2="${at}" stroke="#7a8490" stroke-opacity=".3"/>`;
    return line + text([ROOM.left - 8, y(part * top) + 4], String(Number((part * top).toPrecision(3))), 'end');
  });
  const under = turns.map((classes, turn) =>
    text([x(turn), HEIGHT - ROOM.bottom + 20], classes.join(' and '), 'middle'),
  );
  const drawn = lines.map((values, i) => {
    const colour = COLOURS[i % COLOURS.length]!;
    const points = values.flatMap((value, turn) => (value === null ? [] : [[x(turn), y(value)] as const]));
    const path = points.map((at) => at.map((part) => part.toFixed(1)).join(',')).join(' ');
    const dots = points.map(
      ([cx, cy]) => `<circle cx="${cx.toFixed(1)}" cy="${cy.toFixed(1)}" r="3" fill="${colour}"/>`,
    );
    const legend = text([WIDTH - ROOM.right + 14, ROOM.top + 10 + 18 * i], names[i]!, 'start', colour);
    return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join('')}${legend}`;
  });
  const title = `FID of ${first.join(' and ')} after each turn of the stream`;
  const head = `<title>${title}</title>${text([ROOM.left, 16], title)}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" role="img">${head}${grid.join('')}${under.join('')}${drawn.join('')}</svg>\n`;
}
