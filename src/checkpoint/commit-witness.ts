import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RepulsorError } from '../errors.ts';
import { isCode, makeFolder, replaceAtomically } from '../files/durable-file.ts';

/**
 * Remembers outside of the log how far the run has come there. A log that lost its newest commits, or all of them, looks
 * like one that never had them: a file that is gone, a topic that was deleted, a broker that lost what it had
 * acknowledged. With this a recovery can tell, instead of going on from an older state, or beginning anew, without a word.
 *
 * It lags: a crash may come between a commit and its note. So it says what was committed at the least.
 */
export interface CommitWitness {
  /** For messages. */
  readonly where: string;
  /** The latest generation noted; 0 for none. @throws RepulsorError STATE_DAMAGED */
  generation(): Promise<number>;
  /** Durable when it resolves. */
  note(generation: number): Promise<void>;
}

/** In `committed.json` of a run's folder. */
export function folderWitness(folder: string): CommitWitness {
  const path = join(folder, 'committed.json');
  return {
    where: path,
    async generation() {
      let text: string;
      try {
        text = await readFile(path, 'utf8');
      } catch (error) {
        if (isCode(error, 'ENOENT')) return 0;
        throw failed('read', path, error);
      }
      // Twice, so that no flipped bit passes for another number.
      const match = /^\{"generation":([0-9]+),"check":([0-9]+)\}\n$/.exec(text);
      if (match === null || match[1] !== match[2]) throw damaged(path);
      return Number(match[1]);
    },
    async note(generation) {
      const bytes = Buffer.from(`{"generation":${generation},"check":${generation}}\n`);
      try {
        await makeFolder(folder);
        await replaceAtomically(path, [bytes]);
      } catch (error) {
        throw failed('write', path, error);
      }
    },
  };
}

/** @throws RepulsorError STATE_MISSING when the log's newest commit is older than what was noted */
export async function demandNoted(witness: CommitWitness, newest: number, log: string, topic: string): Promise<void> {
  const noted = await witness.generation();
  if (newest >= noted) return;
  const found = newest === 0 ? 'no commit at all' : `no later commit than ${newest}`;
  throw new RepulsorError(
    'STATE_MISSING',
    `the run has made commit ${noted} (${witness.where}), but ${log} holds ${found} of it in ${topic}`,
    {
      hint: `Is this the log that the run was trained on? Restore it from a copy; or ${
        newest === 0
          ? 'begin a new run in another folder.'
          : 'go on from what is left with `repulsor train --fallback`.'
      }`,
    },
  );
}

function damaged(path: string): RepulsorError {
  return new RepulsorError('STATE_DAMAGED', `${path} is damaged`, {
    hint: 'Restore it from a copy; or delete it: then nothing tells whether the log has lost commits.',
  });
}

function failed(what: string, path: string, cause: unknown): RepulsorError {
  return new RepulsorError('STORE_FAILED', `cannot ${what} ${path}: ${(cause as Error).message}`, {
    hint: 'Check that the folder can be written and that its disk has room.',
    cause,
  });
}
