import { expect, test } from 'vitest';
import type { Certificate, TrialResult } from '../../src/certify/certificate.ts';
import { htmlReport } from '../../src/certify/html-report.ts';
import { headline, textReport } from '../../src/certify/text-report.ts';

const trial = (over: Partial<TrialResult>): TrialResult => ({
  id: 'kill-before-commit',
  group: 'crash',
  outcome: 'held',
  what: 'identical, bit for bit: 24 steps, 7 commits by 2 trainers',
  lives: [
    { from: 0, to: 6, end: 'killed', accident: 'kill -9 before commit of its commit 2' },
    { from: 4, to: 24, end: 'done', accident: null },
  ],
  seconds: 5.25,
  repeat: 'npx repulsor certify pipelines/digits.ts --set \'name="<b>"\' --only kill-before-commit',
  ...over,
});

function certificate(trials: TrialResult[]): Certificate {
  const count = (outcome: string) => trials.filter((t) => t.outcome === outcome).length;
  return {
    held: trials.every(({ outcome }) => outcome === 'held'),
    counts: { held: count('held'), 'not held': count('not held'), 'not carried out': count('not carried out') },
    version: '0.1.0',
    time: '2026-01-02T03:04:05.000Z',
    seconds: 200,
    pipeline: { name: 'digits', file: 'pipelines/digits.ts', config_digest: 'ab'.repeat(32) },
    seed: 1,
    log: 'a file log in a temporary folder',
    input: { from: 'the built-in digits', records: 100, images: 10_000, partitions: 1 },
    not_deterministic: null,
    reference: {
      steps: 24,
      samples: 768,
      commits: 7,
      journal_digest: 'cd'.repeat(32),
      blobs: [{ name: 'model', sha256: 'ef'.repeat(32), bytes: 1_300_000 }],
      engine: 'native TensorFlow 2.21.0',
      seconds: 2,
    },
    changed: [{ path: 'steps', committed: '4500', wanted: '24' }],
    trials,
    notes: ['a note with <script>alert(1)</script>'],
  };
}

const bad = [
  trial({ id: 'stop', group: 'stop', outcome: 'not held', what: 'lost: sample images/0/3/1' }),
  trial({ id: 'fail-write', group: 'failure', outcome: 'not carried out', what: 'it was done before' }),
];

test('the headline says what all came to', () => {
  expect(headline(certificate([trial({})]))).toBe('all 1 trials held (seed 1, 3m20s)');
  expect(headline(certificate([trial({}), ...bad]))).toBe(
    '1 of 3 trials held, 1 did not, 1 could not be carried out (seed 1, 3m20s)',
  );
});

test('the table names what did not hold first, with the command that does it again', () => {
  const lines = textReport(certificate([trial({}), ...bad])).split('\n');
  expect(lines.slice(2, 6)).toEqual([
    'not held: stop: lost: sample images/0/3/1',
    `  again: ${bad[0]!.repeat}`,
    'not carried out: fail-write: it was done before',
    `  again: ${bad[1]!.repeat}`,
  ]);
  expect(lines.join('\n')).toMatch(/^ok +1\/1 +Killed at each point/m);
  expect(lines.join('\n')).toMatch(/^FAIL +0\/1 +Stopped and resumed/m);
});

test('the HTML needs nothing beside itself, and shows every trial, digest and command', () => {
  const all = certificate([trial({}), ...bad]);
  const html = htmlReport(all);
  expect(html).not.toMatch(/<script|<link|<img|src=|@import|url\(|https?:/);
  expect(html).toContain('prefers-color-scheme:dark');
  for (const shown of all.trials.flatMap(({ id, what }) => [id, what])) expect(html).toContain(shown);
  for (const shown of [all.reference.journal_digest, 'ef'.repeat(32), '4500', 'kill -9 before commit of its commit 2'])
    expect(html).toContain(shown);
  expect(html).toContain('--set &#39;name=&quot;&lt;b&gt;&quot;&#39; --only kill-before-commit');
  expect(html).toContain('&lt;script&gt;alert(1)');
  // What did not hold stands before all else that was tried.
  expect(html.indexOf('What did not hold')).toBeLessThan(html.indexOf('What was tried'));
  expect(htmlReport(certificate([trial({})]))).not.toContain('What did not hold');
});
