import { duration } from '../metrics/progress-format.ts';
import type { Certificate, TrialOutcome } from './certificate.ts';
import { GROUPS, type TrialGroup } from './trials.ts';

export const MARK: Readonly<Record<TrialOutcome, string>> = {
  held: 'ok  ',
  'not held': 'FAIL',
  'not carried out': '??  ',
};

/** The certificate for a terminal. What did not hold comes first, with the command that does it again. */
export function textReport(certificate: Certificate): string {
  const { trials, reference, pipeline, notes } = certificate;
  const bad = trials.filter(({ outcome }) => outcome !== 'held');
  const lines = [
    headline(certificate),
    '',
    ...bad.flatMap(({ id, outcome, what, repeat }) => [`${outcome}: ${id}: ${what}`, `  again: ${repeat}`]),
    ...(bad.length > 0 ? [''] : []),
    `pipeline   ${pipeline.name} (${pipeline.file}), settings ${pipeline.config_digest.slice(0, 16)}`,
    `reference  ${reference.steps} steps, ${reference.samples} samples, ${reference.commits} commits; journal ${reference.journal_digest.slice(0, 16)}`,
    `engine     ${reference.engine}`,
    `log        ${certificate.log}; input: ${certificate.input.records} records of ${certificate.input.from}`,
    '',
    ...groupRows(certificate),
    ...notes.map((note) => `note: ${note}`),
  ];
  return lines.join('\n').trimEnd();
}

/** One sentence: what all of it came to. */
export function headline({ held, counts, trials, seed, seconds, not_deterministic }: Certificate): string {
  const took = `seed ${seed}, ${duration(seconds)}`;
  if (held) return `all ${trials.length} trials held (${took})`;
  const parts = [`${counts.held} of ${trials.length} trials held`];
  if (counts['not held'] > 0) parts.push(`${counts['not held']} did not`);
  if (counts['not carried out'] > 0) parts.push(`${counts['not carried out']} could not be carried out`);
  const bits = not_deterministic === null ? '' : '; the same run twice does not give the same bits';
  return `${parts.join(', ')} (${took})${bits}`;
}

function groupRows({ trials }: Certificate): string[] {
  return (Object.keys(GROUPS) as TrialGroup[]).flatMap((group) => {
    const own = trials.filter((trial) => trial.group === group);
    if (own.length === 0) return [];
    const held = own.filter(({ outcome }) => outcome === 'held').length;
    const mark =
      held === own.length
        ? MARK.held
        : own.some((t) => t.outcome === 'not held')
          ? MARK['not held']
          : MARK['not carried out'];
    return [`${mark} ${`${held}/${own.length}`.padStart(6)}  ${GROUPS[group]}`];
  });
}
