import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFolderStore } from '../checkpoint/folder-store.ts';
import { consumerGroup, runTopics } from '../checkpoint/run-id.ts';
import type { BlobStore } from '../checkpoint/store.ts';
import { RepulsorError } from '../errors.ts';
import { deleteFromKafka } from '../log/kafka/delete-scratch.ts';
import type { Log } from '../log/log.ts';
import { openLog } from '../log/open-log.ts';

/** What a scratch topic's name begins with, so that one that was left behind can be told from the user's. */
export const SCRATCH_PREFIX = 'repulsor-certify-';

/** Where one trial's run lives. */
export interface ScratchRun {
  readonly log: Log;
  readonly store: BlobStore;
  readonly run: string;
  /** Folder of the blobs. */
  readonly blobs: string;
}

/** A log and a folder for the trials alone, gone when they are over. */
export interface Scratch {
  /** With secrets, when the broker's had them. */
  readonly url: string;
  readonly log: Log;
  /** Name of the topic of inputs, the i-th of several: in the order of their names. */
  topic(i: number): string;
  run(name: string): Promise<ScratchRun>;
  /** Removes a run. What cannot be removed now is tried again at the end. */
  forget(name: string): Promise<void>;
  /** Removes all of it. Names what is left, and why: topics of a broker that does not let them be deleted. */
  close(): Promise<{ readonly topics: readonly string[]; readonly why: string } | null>;
}

/**
 * A scratch log: topics of its own on the broker `kafka`, or (null) a file log in a temporary folder. Blobs lie in that
 * folder either way.
 */
export async function openScratch(kafka: string | null): Promise<Scratch> {
  const folder = await mkdtemp(join(tmpdir(), SCRATCH_PREFIX));
  const url = kafka ?? `file:${join(folder, 'log')}`;
  const prefix = `${SCRATCH_PREFIX}${randomBytes(4).toString('hex')}`;
  let log: Log;
  try {
    log = await openLog(url);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  const runId = (name: string): string => (kafka === null ? name : `${prefix}.${name}`);
  const blobs = (name: string): string => join(folder, 'runs', name);
  /** Ids of the runs that are there. */
  const runs = new Set<string>();
  return {
    url,
    log,
    topic: (i) => `${kafka === null ? '' : `${prefix}.`}input${i === 0 ? '' : `-${String(i).padStart(4, '0')}`}`,
    async run(name) {
      runs.add(runId(name));
      return { log, store: await openFolderStore(blobs(name)), run: runId(name), blobs: blobs(name) };
    },
    async forget(name) {
      await rm(blobs(name), { recursive: true, force: true });
      if (kafka === null) return;
      const own = { topics: Object.values(runTopics(runId(name))), groups: [consumerGroup(runId(name))] };
      await deleteFromKafka(kafka, own).then(
        () => void runs.delete(runId(name)),
        () => undefined,
      );
    },
    async close() {
      try {
        return kafka === null ? null : await deleteAll(log, kafka, prefix, [...runs].map(consumerGroup));
      } finally {
        await log.close();
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

async function deleteAll(
  log: Log,
  url: string,
  prefix: string,
  groups: readonly string[],
): Promise<{ readonly topics: readonly string[]; readonly why: string } | null> {
  const mine = async () => (await log.topics()).filter((topic) => topic.startsWith(`${prefix}.`));
  try {
    await deleteFromKafka(url, { topics: await mine(), groups });
    return null;
  } catch (error) {
    if (!(error instanceof RepulsorError)) throw error;
    return { topics: await mine().catch(() => [`${prefix}.*`]), why: error.message };
  }
}
