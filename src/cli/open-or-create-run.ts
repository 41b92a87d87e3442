import { randomBytes } from 'node:crypto';
import { createRunFolder, findRunFolder, type RunFolder } from '../checkpoint/run-folder.ts';
import { runTopics } from '../checkpoint/run-id.ts';
import { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { lastingLogUrl } from '../log/log-url.ts';
import type { Pipeline } from '../trainer/pipeline.ts';

/**
 * The run folder; a new one gets an id that no other run of the log has.
 * @throws RepulsorError STATE_MISMATCH when the run that is there lives in another log, or its blobs in another store
 */
export async function openOrCreateRun(folder: string, log: Log, pipeline: Pipeline): Promise<RunFolder> {
  const there = await findRunFolder(folder);
  const lives = lastingLogUrl(log.url);
  const { store } = pipeline.commit;
  if (there === null) {
    const run = `${pipeline.name}-${randomBytes(4).toString('hex')}`;
    return createRunFolder(folder, {
      run,
      log: lives,
      ...(store !== null && { store: storeOf(store, run) }),
      pipeline: pipeline.name,
      created: new Date().toISOString(),
    });
  }
  if (store !== null && there.store !== storeOf(store, there.run))
    throw new RepulsorError(
      'STATE_MISMATCH',
      `the blobs of the run in ${folder} are in ${there.blobs}, not in ${storeOf(store, there.run)}`,
      {
        hint: 'leave commit.store out, or begin a new run with --run; to move the blobs, copy them with their names and name the new place in run.json',
      },
    );
  // A log may move, or be reached through other brokers: where the run's commits are, there it lives.
  if (there.log === lives || (await log.topics()).includes(runTopics(there.run).commits)) return there;
  throw new RepulsorError(
    'STATE_MISMATCH',
    `the run in ${folder} lives in ${there.log}; ${lives} has no commit of it`,
    {
      hint: `give --log ${there.log}, or begin a new run with --run`,
    },
  );
}

/** A run's own place in a store that many runs share. */
function storeOf(store: string, run: string): string {
  return `${store.replace(/\/$/, '')}/${run}`;
}
