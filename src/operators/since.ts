import { RepulsorError } from '../errors.ts';

/** Where a new run's input begins in every partition: at an offset, or at the first record of a time. */
export type Since = { readonly offset: number } | { readonly time: number };

/** A date, or a date and a time to the minute or finer; UTC where no zone is given. */
const TIME = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?<zone>Z|[+-]\d{2}:?\d{2})?)?$/i;

/**
 * `1200` is an offset, `2026-11-01`, `2026-11-01T09:30` and `2026-11-01T09:30:00+01:00` are times.
 * @throws RepulsorError USAGE
 */
export function parseSince(text: string): Since {
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return { offset: Number(text) };
  const match = TIME.exec(text);
  if (match !== null) {
    const zoned = match.groups?.['zone'] === undefined && text.length > 10 ? `${text}Z` : text;
    const time = Date.parse(zoned.replace(' ', 'T'));
    if (Number.isFinite(time) && time >= 0) return { time };
  }
  throw new RepulsorError('USAGE', `${JSON.stringify(text)} is neither an offset nor a time`, {
    hint: 'give a whole number, or a time such as 2026-11-01T00:00Z (UTC where no zone is given)',
  });
}

/** One spelling per meaning: as commits store it. */
export function spellSince(since: Since): string {
  return 'offset' in since ? String(since.offset) : new Date(since.time).toISOString();
}
