import { RepulsorError } from '../errors.ts';

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
    return new RepulsorError('STATE_TRUNCATED', `${where} was removed by retention: the earliest left is ${earliest}`, {
      hint: 'Give the topic a longer retention, or begin at the earliest offset and accept the gap.',
    });
  }
  return new RepulsorError('STATE_TRUNCATED', `${where} lies past the end, which is ${end}`, {
    hint: 'The topic was emptied or made anew since that offset was noted. Begin a new run, or restore the topic.',
  });
}
