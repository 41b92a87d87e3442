import { open, readdir, stat, truncate, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { openLineage } from '../checkpoint/commit-history.ts';
import { runTopics } from '../checkpoint/run-id.ts';
import { uniforms } from '../random/philox.ts';
import type { ScratchRun } from './scratch.ts';
import type { DamageKind } from './trials.ts';

const DONE: Record<DamageKind, string> = {
  flipped: 'one bit flipped in',
  cut: 'the end cut off',
  removed: 'the loss of',
};

/**
 * Damages a blob of the run's newest commit, as a bad disk does; tells from which step a fallback must go on, and how many
 * commits it gives up. Only ever done in a scratch folder.
 */
export async function damageBlob(
  { log, run, blobs: folder }: ScratchRun,
  damage: DamageKind,
  seed: number,
): Promise<{ readonly from: number; readonly givenUp: number; readonly what: string }> {
  const lineage = openLineage(log, runTopics(run).commits);
  const newest = (await lineage.at(0))!.commit;
  const [which, where] = uniforms(seed, `certify damage ${damage}`, 0, 2);
  const blob = newest.blobs[Math.floor(which! * newest.blobs.length)]!;
  const copies = (await readdir(folder))
    .filter((name) => name.startsWith(blob.sha256))
    .map((name) => join(folder, name));
  if (damage === 'removed') for (const copy of copies) await unlink(copy);
  else if (damage === 'cut') for (const copy of copies) await truncate(copy, Math.floor(where! * blob.bytes));
  else for (const copy of await distinctFiles(copies)) await flipBit(copy, Math.floor(where! * blob.bytes));
  let givenUp = 0;
  let before = await lineage.at(0);
  for (; before?.commit.blobs.some(({ sha256 }) => sha256 === blob.sha256); before = await lineage.at(givenUp))
    givenUp++;
  return { from: before?.commit.step ?? 0, givenUp, what: `${DONE[damage]} its newest blob ${blob.name}` };
}

/** The copies of several owners may be links to one file: flipped twice, its bit would be whole again. */
async function distinctFiles(paths: readonly string[]): Promise<string[]> {
  const byInode = new Map<number, string>();
  for (const path of paths) byInode.set((await stat(path)).ino, path);
  return [...byInode.values()];
}

async function flipBit(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    byte[0]! ^= 1 << (at % 8);
    await file.write(byte, 0, 1, at);
    await file.sync();
  } finally {
    await file.close();
  }
}
