import { randomBytes } from 'node:crypto';
import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { RepulsorError } from '../errors.ts';
import { openStore } from './open-store.ts';

/**
 * Does to the store at `place` all that a trainer does, with a blob of its own beside the run's: writes, reads, lists and
 * removes it. Nothing stays. @throws RepulsorError CONFIG, STORE_FAILED
 */
export async function probeStore(place: string): Promise<void> {
  // Below, so that no trainer at work there takes it for an unused blob of its run.
  const below = place.startsWith('s3://') ? `${place.replace(/\/$/, '')}/doctor` : join(place, 'doctor');
  const store = await openStore(below);
  const bytes = randomBytes(64 * 1024);
  const { ref } = await store.put({ bytes: bytes.length, chunks: () => [bytes] }, 1);
  let read = 0;
  for await (const chunk of store.get(ref)) read += chunk.length;
  await store.removeUnfinished(1);
  // With what an earlier probe left that was killed.
  for (const blob of await store.list()) await store.remove(blob);
  const left = (await store.list()).length;
  if (!place.startsWith('s3://')) await rmdir(below);
  if (read === bytes.length && left === 0) return;
  throw new RepulsorError('STORE_FAILED', `${place} gave ${read} of ${bytes.length} bytes, and keeps ${left} blobs`, {
    hint: 'A store must show at once what was written and removed: use one that does.',
  });
}
