import { escapeHtml as text } from '../html/escape.ts';
import { STYLE } from '../html/style.ts';
import { hasCollapsed, hasFled } from '../metrics/warning-signs.ts';
import { shortNames } from './grid.ts';
import { plot, seriesOf } from './plot.ts';
import { METRICS, type PointResult, type RunResult, type SweepResult } from './results.ts';
import { meanAndSpread, short } from './tables.ts';

/** Of this report alone; the rest of the look is that of all reports. */
const OWN_STYLE = `
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:14px}
.plots figure{margin:0;padding:12px 14px;background:var(--card);border:1px solid var(--line);border-radius:12px}
figcaption{font-weight:600}figcaption span{display:block;font-weight:400;font-size:12.5px;color:var(--soft)}
svg.plot{display:block;width:100%;height:auto}svg.plot text{font-size:12px;fill:var(--soft)}
.swatch{display:inline-block;width:10px;height:10px;border-radius:50%;margin-right:5px}
th,td{padding:7px 11px}
td.value{white-space:nowrap;font-variant-numeric:tabular-nums}
`;

/** The sweep as one HTML file that needs nothing else. */
export function htmlReport(sweep: SweepResult): string {
  const { pipeline, axes, points, shown } = sweep;
  const runs = points.flatMap((point) => point.runs);
  const title = `${pipeline.name}: ${axes.map(({ path }) => path).join(', ') || 'one setting'}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${text(title)}</title>
<style>${STYLE}${OWN_STYLE}</style>
</head>
<body><main>
<p class="soft">Repulsor Stream ${text(sweep.version)} &middot; sweep</p>
<h1>${text(title)}</h1>
<p class="soft">${text(pipeline.file)} &middot; <time datetime="${text(sweep.time)}">${text(sweep.time.slice(0, 16).replace('T', ' '))} UTC</time></p>
<dl class="facts">
${fact('Varied', axes.map(({ path, values }) => `${path} = ${values.join(', ')}`).join('; ') || 'nothing')}
${fact('Set in every run', sweep.fixed.join('; ') || 'nothing')}
${fact('Each run', sweep.steps === null ? 'to the end of its topic' : `${sweep.steps} steps`)}
${fact('Seeds', sweep.seeds.join(', '))}
</dl>
${troubles(runs)}
<h2>By ${text(axes[0]?.path ?? 'run')}</h2>
${legend(sweep)}
<div class="plots">
${shown.flatMap((metric) => figure(sweep, metric)).join('\n')}
</div>
<h2>Mean and standard deviation over the seeds</h2>
<div class="card scroll"><table>
<tr>${shortNames(axes.map(({ path }) => path))
    .map((name) => `<th>${text(name)}</th>`)
    .join('')}<th>runs</th>${shown.map((metric) => `<th>${metric}</th>`).join('')}</tr>
${points.map((point) => pointRow(point, sweep)).join('\n')}
</table></div>
<h2>Every run</h2>
<div class="card scroll"><table>
<tr><th>run</th><th>steps</th>${shown.map((metric) => `<th>${metric}</th>`).join('')}</tr>
${runs.map((run) => runRow(run, sweep)).join('\n')}
</table></div>
<footer>Losses are means over the last ${sweep.window} steps; all else is of the last step. Spread is the sample standard deviation over seeds. Each run is one of its own: <code>repulsor inspect FOLDER</code> shows it, <code>repulsor replay FOLDER</code> trains it again.</footer>
</main></body>
</html>
`;
}

const fact = (name: string, value: string): string => `<div><dt>${name}</dt><dd>${text(value)}</dd></div>`;

function figure(sweep: SweepResult, metric: SweepResult['shown'][number]): string[] {
  const drawn = plot(sweep, metric);
  if (drawn === null) return [];
  return [`<figure><figcaption>${metric}<span>${text(METRICS[metric])}</span></figcaption>${drawn}</figure>`];
}

function legend(sweep: SweepResult): string {
  const series = seriesOf(sweep).filter(({ name }) => name !== '');
  const entries = series.map(
    ({ name, colour }) => `<span><i class="swatch" style="background:${colour}"></i>${text(name)}</span>`,
  );
  return `<p class="legend"><span>A dot a run; through the means a line where the values are numbers, and a bar of one standard deviation either way.</span>${entries.join('')}</p>`;
}

/** Runs without a result, and runs whose batch has escaped: no loss shows it. */
function troubles(runs: readonly RunResult[]): string {
  const rows = runs.flatMap((run) => {
    const found = run.error ?? escaped(run);
    return found === null
      ? []
      : `<tr><td class="name nothel"><span class="dot"></span><span class="id">${text(run.name)}</span></td><td>${text(found)}</td></tr>`;
  });
  return rows.length === 0
    ? ''
    : `<h2>Look at these first</h2><div class="card scroll"><table>${rows.join('\n')}</table></div>`;
}

/** What the warning signs say of a run; null when nothing. */
export function escaped({ metrics }: Pick<RunResult, 'metrics'>): string | null {
  const { pair_distance: pairDistance, shift } = metrics;
  if (typeof shift === 'number' && hasFled({ shift }))
    return `its batch has fled from its queue: shift ${short(shift)}`;
  if (typeof pairDistance === 'number' && hasCollapsed({ pairDistance }))
    return `its batch has collapsed to one point: pair distance ${short(pairDistance)}`;
  return null;
}

function pointRow({ values, runs, metrics }: PointResult, { shown, seeds }: SweepResult): string {
  const done = runs.filter(({ error }) => error === null).length;
  const cells = shown.map(
    (metric) => `<td class="value">${metrics[metric] === undefined ? '-' : meanAndSpread(metrics[metric])}</td>`,
  );
  return `<tr>${values.map((value) => `<td><code>${text(value)}</code></td>`).join('')}<td class="value">${done} of ${seeds.length}</td>${cells.join('')}</tr>`;
}

function runRow(run: RunResult, { shown }: SweepResult): string {
  const cells = shown.map((metric) => {
    const value = run.metrics[metric];
    return `<td class="value">${typeof value === 'number' ? short(value) : '-'}</td>`;
  });
  return `<tr><td><code>${text(run.folder)}</code></td><td class="value">${run.steps}</td>${cells.join('')}</tr>`;
}
