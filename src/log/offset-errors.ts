import { RepulsorError } from '../errors.ts';

/** In words what retention (or DeleteRecords) has removed of what is needed from `offset` on. */
export function gapOf(offset: number, earliest: number): string {
  const count = earliest - offset;
  const most = count === 1 ? '1 record' : `${count} records at most`;
  return `offsets ${offset} to ${earliest - 1} were removed (${most}): the earliest left is ${earliest}`;
}

/** A read that begins where nothing is any more, or yet. `end` is null when it is not known. */
export function outsideError(
  topic: string,
  partition: number,
  offset: number,
  earliest: number,
  end: number | null,
): RepulsorError {
  const where = `offset ${offset} of ${topic}, partition ${partition}`;
  if (offset < earliest) {
    return new RepulsorError('STATE_TRUNCATED', `${where} is still needed, but ${gapOf(offset, earliest)}`, {
      hint: 'Give the topic a longer retention, or begin at the earliest offset and accept the gap.',
    });
  }
  return new RepulsorError('STATE_TRUNCATED', `${where} lies past the end, which is ${end}`, {
    hint: 'The topic was emptied or made anew since that offset was noted. Begin a new run, or restore the topic.',
  });
}
