import { open } from 'node:fs/promises';
import { RepulsorError } from '../errors.ts';
import { badWeights } from './bad-weights.ts';

/** A file whose parts are read as they are wanted: a checkpoint is gigabytes, and holds more than weights. */
export interface RandomAccess {
  readonly path: string;
  readonly bytes: number;
  /** @throws RepulsorError BAD_RECORD when the file ends before that */
  read(at: number, bytes: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** @throws RepulsorError USAGE when there is no such file, or it may not be read */
export async function openRandomAccess(path: string): Promise<RandomAccess> {
  const unreadable = (cause: Error) =>
    new RepulsorError('USAGE', `${path} cannot be read: ${cause.message}`, { hint: 'name a file of weights', cause });
  const file = await open(path, 'r').catch((cause: Error) => {
    throw unreadable(cause);
  });
  const found = await file.stat();
  if (!found.isFile()) {
    await file.close();
    throw unreadable(new Error('it is no file'));
  }
  return {
    path,
    bytes: found.size,
    async read(at, bytes) {
      if (at < 0 || at + bytes > found.size) throw cutOff(path, at + bytes, found.size);
      const into = new Uint8Array(bytes);
      for (let done = 0; done < bytes; ) {
        const { bytesRead } = await file.read(into, done, bytes - done, at + done);
        if (bytesRead === 0) throw cutOff(path, at + bytes, at + done);
        done += bytesRead;
      }
      return into;
    },
    close: () => file.close(),
  };
}

function cutOff(path: string, needed: number, there: number): RepulsorError {
  return badWeights(path, `it should go on to byte ${needed}, and has ${there}`, 'get it again: it was cut off');
}
