import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RepulsorError } from '../errors.ts';
import { createExclusively, isCode, removeIfThere, replaceAtomically } from './durable-file.ts';
import { livenessOf, ownIdentity, type ProcessIdentity } from './process-identity.ts';

/*
 * The lock of a folder's one writer (a topic's plain appends, an index being built): files writer-1.lock, writer-2.lock, ... each naming a holder. The highest number
 * is the lock; it is held until its holder is dead or has marked it released.
 *
 * - Taking it is creating the next number exclusively, so of several processes that find lock n stale one succeeds.
 * - The highest file is never removed; lower ones are, by the holder. So whoever was paused between reading n and
 *   creating n + 1, and now succeeds because n + 1 was cleaned up, sees a higher number when it looks again, and is not
 *   the holder. A lock that is deleted and made anew under one name has no such safe way to be broken.
 */

interface LockRecord {
  readonly holder: ProcessIdentity;
  readonly nonce: string;
  readonly released: boolean;
}

export interface WriterLock {
  release(): Promise<void>;
}

/** `what`: for messages. @throws RepulsorError LOG_LOCKED naming the holder. */
export async function lockWriter(folder: string, what: string): Promise<WriterLock> {
  const record: LockRecord = { holder: await ownIdentity(), nonce: randomUUID(), released: false };
  for (;;) {
    const current = (await lockNumbers(folder)).at(-1) ?? 0;
    if (current > 0 && !(await isFree(folder, current, what))) continue;
    const number = current + 1;
    if (!(await createExclusively(lockPath(folder, number), encode(record)))) continue;
    const numbers = await lockNumbers(folder);
    if (numbers.at(-1) !== number) {
      await removeIfThere(lockPath(folder, number));
      continue;
    }
    for (const lower of numbers.slice(0, -1)) await removeIfThere(lockPath(folder, lower));
    return {
      release: () => replaceAtomically(lockPath(folder, number), [encode({ ...record, released: true })]),
    };
  }
}

/** True when the lock's holder is gone; false when the lock changed meanwhile. @throws RepulsorError LOG_LOCKED */
async function isFree(folder: string, number: number, what: string): Promise<boolean> {
  const path = lockPath(folder, number);
  let record: LockRecord;
  try {
    record = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false;
    throw new RepulsorError('STATE_DAMAGED', `${path} is no lock file`, {
      hint: `Make sure that no process writes ${what}, then delete the file.`,
      cause: error,
    });
  }
  if (record.released) return true;
  const { holder } = record;
  const liveness = await livenessOf(holder);
  if (liveness === 'dead') return true;
  const who = `process ${holder.pid} on ${holder.host}`;
  throw new RepulsorError('LOG_LOCKED', `${what} is being written by ${who} (${path})`, {
    hint:
      liveness === 'alive'
        ? `Stop that process, or write to another one.`
        : `That process ran in another host or container, so it cannot be seen from here whether it lives. Make sure that it does not, then delete the file.`,
  });
}

async function lockNumbers(folder: string): Promise<number[]> {
  const numbers: number[] = [];
  for (const name of await readdir(folder)) {
    const match = /^writer-(\d+)\.lock$/.exec(name);
    if (match !== null) numbers.push(Number(match[1]));
  }
  return numbers.sort((a, b) => a - b);
}

const lockPath = (folder: string, number: number): string => join(folder, `writer-${number}.lock`);
const encode = (record: LockRecord): Buffer => Buffer.from(`${JSON.stringify(record)}\n`);
