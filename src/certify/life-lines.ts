import type { LifeStory } from './certificate.ts';

const WIDTH = 168;
const ROW = 9;
const LEFT = 6;

/** The lives of a trial as lines over the steps, one below the other: where each began, how far it came, how it ended. SVG. */
export function lifeLines(lives: readonly LifeStory[], steps: number): string {
  const x = (step: number): number => LEFT + Math.round((((WIDTH - 2 * LEFT) * step) / Math.max(1, steps)) * 10) / 10;
  const height = ROW * lives.length + 4;
  const rows = lives.map(({ from, to, end }, i) => {
    const y = ROW * i + 6.5;
    const [begin, last] = [x(from ?? 0), x(to ?? from ?? 0)];
    return `<line class="life" x1="${begin}" y1="${y}" x2="${last}" y2="${y}"/>${endMark(end, last, y)}`;
  });
  const guide = `<path class="guide" d="M${x(0)} 0V${height}M${x(steps)} 0V${height}"/>`;
  const told = lives.map(({ from, to, end }) => `${from ?? '-'} to ${to ?? '-'} (${end})`).join(', ');
  return `<svg role="img" aria-label="steps of each life: ${told}" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}">${guide}${rows.join('')}</svg>`;
}

function endMark(end: LifeStory['end'], x: number, y: number): string {
  switch (end) {
    case 'killed':
    case 'failed':
      return `<path class="killed" d="M${x - 3} ${y - 3}l6 6m0 -6l-6 6"/>`;
    case 'stopped':
      return `<rect class="stopped" x="${x - 2.5}" y="${y - 2.5}" width="5" height="5"/>`;
    case 'fenced':
    case 'refused':
      return `<path class="refused" d="M${x} ${y - 4}v8"/>`;
    case 'done':
      return `<circle class="done" cx="${x}" cy="${y}" r="3"/>`;
  }
}
