import { escapeHtml as text } from '../html/escape.ts';
import { STYLE } from '../html/style.ts';
import { bytes, duration } from '../metrics/progress-format.ts';
import type { Certificate, TrialOutcome, TrialResult } from './certificate.ts';
import { lifeLines } from './life-lines.ts';
import { headline } from './text-report.ts';
import { GROUPS, type TrialGroup } from './trials.ts';

/** Style names of the outcomes. */
const CLASS: Readonly<Record<TrialOutcome, string>> = { held: 'held', 'not held': 'nothel', 'not carried out': 'open' };

/** What no such trial shows, whatever held: said on every report. */
const LIMITS = [
  'The trials run for a few steps on this machine, with the engine, the versions and the thread count named above; bits are promised for these.',
  'The log is taken at its word: a broker that loses what it acknowledged, or a disk that lies about what it wrote, is not tried here.',
  'Effects are stopped between the calls of this process; a power cut may also undo what the disk had not yet written, which the fsyncs are there for.',
  'Exactly once is about the updates that a run has committed, not about work done: steps that were trained and not committed are trained again.',
];

/** The certificate as one HTML file that needs nothing else. */
export function htmlReport(certificate: Certificate): string {
  const { pipeline, trials, reference } = certificate;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${text(pipeline.name)}: ${text(headline(certificate))}</title>
<style>${STYLE}</style>
</head>
<body><main>
<p class="soft">Repulsor Stream ${text(certificate.version)} &middot; certificate of recovery</p>
<h1>${text(pipeline.name)}</h1>
<p class="soft">${text(pipeline.file)} &middot; <time datetime="${text(certificate.time)}">${text(certificate.time.slice(0, 16).replace('T', ' '))} UTC</time></p>
${verdict(certificate)}
${facts([
  ['Trials', `${trials.length}, in ${duration(certificate.seconds)}`],
  ['Each run', `${reference.steps} steps, ${reference.samples} samples`],
  ['Seed', `${certificate.seed}`],
  ['Engine', reference.engine],
  ['Log', certificate.log],
  [
    'Input',
    `${certificate.input.records} records (${certificate.input.images} images, partitions: ${certificate.input.partitions}) of ${certificate.input.from}`,
  ],
])}
${failures(certificate)}
<h2>What was tried</h2>
<p class="soft">Every run must come out as the one that nothing happened to: the same samples in the same steps, the same losses, the same keys in the queue and the same weights${certificate.not_deterministic === null ? ', bit for bit' : '; here only samples and positions can be held against it, for the engine does not give the same bits again'}. Its commits must be one gapless chain, and each must read back.</p>
${legend()}
${(Object.keys(GROUPS) as TrialGroup[]).map((group) => groupCard(group, certificate)).join('\n')}
<h2>The run that nothing happened to</h2>
<div class="card scroll"><table>
<tr><th>of the last commit</th><th>SHA-256</th><th>size</th></tr>
<tr><td>journal of every step, chained</td><td><code class="hash">${reference.journal_digest}</code></td><td></td></tr>
${reference.blobs.map(({ name, sha256, bytes: size }) => `<tr><td>${text(name)}</td><td><code class="hash">${sha256}</code></td><td class="num">${bytes(size)}</td></tr>`).join('\n')}
<tr><td>settings of the pipeline</td><td><code class="hash">${pipeline.config_digest}</code></td><td></td></tr>
</table></div>
${changed(certificate)}
${certificate.notes.length === 0 ? '' : `<h2>Notes</h2><ul class="plain">${certificate.notes.map((note) => `<li>${text(note)}</li>`).join('')}</ul>`}
<h2>What this does not show</h2>
<ul class="plain soft">${LIMITS.map((limit) => `<li>${text(limit)}</li>`).join('')}</ul>
<footer>All trials ran in a run and a log of their own; of the pipeline's log the inputs were read, and nothing else touched.</footer>
</main></body>
</html>
`;
}

function verdict(certificate: Certificate): string {
  const { held, counts } = certificate;
  const outcome: TrialOutcome = held ? 'held' : counts['not held'] > 0 ? 'not held' : 'not carried out';
  const mark = held ? 'M9 17l6 6 13-14' : counts['not held'] > 0 ? 'M10 10l16 16m0-16l-16 16' : 'M18 9v13m0 4v3';
  const sentence = held
    ? 'Nothing was lost, nothing trained twice, and the same model came out each time.'
    : 'What did not hold is named first, with the command that does it again.';
  return `<div class="verdict ${CLASS[outcome]}"><svg width="36" height="36" viewBox="0 0 36 36" fill="none" stroke="currentColor" stroke-width="4" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="${mark}"/></svg><div><strong>${text(headline(certificate))}</strong><span>${sentence}</span></div></div>`;
}

const facts = (list: readonly (readonly [string, string])[]): string =>
  `<dl class="facts">${list.map(([name, value]) => `<div><dt>${text(name)}</dt><dd>${text(value)}</dd></div>`).join('')}</dl>`;

function failures({ trials }: Certificate): string {
  const bad = trials.filter(({ outcome }) => outcome !== 'held');
  if (bad.length === 0) return '';
  const rows = bad.map(
    ({ id, outcome, what, repeat }) =>
      `<tr><td class="name ${CLASS[outcome]}"><span class="dot"></span><span class="id">${text(id)}</span><br><span>${outcome}</span></td><td><p>${text(what)}</p><code>${text(repeat)}</code></td></tr>`,
  );
  return `<h2>What did not hold</h2><div class="card scroll"><table>${rows.join('\n')}</table></div>`;
}

function groupCard(group: TrialGroup, { trials, reference }: Certificate): string {
  const own = trials.filter((trial) => trial.group === group);
  if (own.length === 0) return '';
  const held = own.filter(({ outcome }) => outcome === 'held').length;
  const worst =
    (['not held', 'not carried out'] as const).find((o) => own.some(({ outcome }) => outcome === o)) ?? 'held';
  return `<section class="card"><header><h3>${text(GROUPS[group])}</h3><span class="count ${CLASS[worst]}">${held} of ${own.length} held</span></header>
<div class="scroll"><table class="trials">
<tr><th class="w1">trial</th><th class="w2">what happened</th><th class="w3">lives</th><th>what was seen</th><th class="w5"></th></tr>
${own.map((trial) => trialRow(trial, reference.steps)).join('\n')}
</table></div></section>`;
}

function trialRow({ id, outcome, what, lives, seconds, repeat }: TrialResult, steps: number): string {
  const accidents = lives.flatMap(({ accident }) => (accident === null ? [] : [`<li>${text(accident)}</li>`]));
  return `<tr><td class="name ${CLASS[outcome]}" title="${outcome}"><span class="dot"></span><span class="id">${text(id)}</span></td>
<td>${accidents.length === 0 ? 'nothing' : `<ul>${accidents.join('')}</ul>`}</td><td>${lifeLines(lives, steps)}</td>
<td>${outcome === 'held' ? '' : `<strong class="${CLASS[outcome]}">${outcome}</strong>: `}${text(what)}<details><summary>command</summary><code>${text(repeat)}</code></details></td>
<td class="num">${seconds.toFixed(1)} s</td></tr>`;
}

function legend(): string {
  const mark = (shape: string): string =>
    `<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">${shape}</svg>`;
  const entries = [
    [mark('<path class="killed" d="M3 3l6 6m0-6l-6 6"/>'), 'killed'],
    [mark('<rect class="stopped" x="3" y="3" width="6" height="6"/>'), 'stopped, with a commit'],
    [mark('<path class="refused" d="M6 2v8"/>'), 'fenced, or refused to start'],
    [mark('<circle class="done" cx="6" cy="6" r="3.5"/>'), 'done'],
  ];
  return `<p class="legend"><span>A line a life, over the steps of the run:</span>${entries.map(([icon, word]) => `<span>${icon}${word}</span>`).join('')}</p>`;
}

function changed({ changed: settings, input }: Certificate): string {
  const rows = settings.map(
    ({ path, committed, wanted }) =>
      `<tr><td><code>${text(path)}</code></td><td>${text(committed)}</td><td>${text(wanted)}</td></tr>`,
  );
  return `<h2>What the trials changed of the pipeline</h2>
<div class="card scroll"><table><tr><th>setting</th><th>of the pipeline</th><th>of the trials</th></tr>${rows.join('\n')}
<tr><td><code>source.topic</code></td><td>${text(input.from)}</td><td>its records, copied into a scratch topic once</td></tr></table></div>`;
}
