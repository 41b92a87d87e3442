import type { Log, LogRecord } from '../log/log.ts';
import { readRange } from '../log/read-range.ts';

const WINDOW_BYTES = 8 * 1024 * 1024;
const FIRST_WINDOW = 32;
const LARGEST_WINDOW = 8_192;

/**
 * The records of partition 0 with offsets in [begin, end), newest first. A log reads forwards only, so this reads windows
 * of it, each before the last, sized so that about 8 MiB are held: whoever wants the newest few pays for few.
 */
export async function* readBackwards(log: Log, topic: string, begin: number, end: number): AsyncGenerator<LogRecord> {
  let size = FIRST_WINDOW;
  for (let to = end; to > begin; ) {
    const from = Math.max(begin, to - size);
    const window: LogRecord[] = [];
    for await (const record of readRange(log, topic, 0, from, to)) {
      window.push(record);
    }
    const bytes = window.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
    const fitting = Math.floor((WINDOW_BYTES / Math.max(1, bytes)) * (to - from));
    size = Math.min(size * 4, Math.max(1, fitting), LARGEST_WINDOW);
    to = from;
    yield* window.reverse();
  }
}
