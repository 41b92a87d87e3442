import { randomBytes } from 'node:crypto';
import { openCommitter } from '../checkpoint/commit.ts';
import { openFolderStore } from '../checkpoint/folder-store.ts';
import { createRunFolder, type RunFolder } from '../checkpoint/run-folder.ts';
import type { Log } from '../log/log.ts';
import { NOWHERE } from '../operators/position.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import { readWeights } from './import-weights.ts';
import { weightsBlobs } from './weights-blobs.ts';
import type { WeightsFile } from './weights-file.ts';

/**
 * Makes a new run in `folder` whose one commit, of step 0, holds a file's weights: to sample from, to export, and for another
 * run to begin with. The weights are checked before anything is made.
 * @throws RepulsorError USAGE when a run lives there, STATE_MISMATCH, BAD_RECORD, and what the log and the store throw
 */
export async function importRun(
  file: WeightsFile,
  pipeline: Pipeline,
  folder: string,
  log: Log,
): Promise<{ readonly run: RunFolder; readonly bytes: number }> {
  const state = weightsBlobs(await readWeights(file, pipeline.model));
  const run = await createRunFolder(folder, {
    run: `${pipeline.name}-${randomBytes(4).toString('hex')}`,
    log: log.url,
    pipeline: pipeline.name,
    created: new Date().toISOString(),
  });
  const committer = await openCommitter({
    log,
    store: await openFolderStore(run.blobs),
    run: run.run,
    seed: pipeline.seed,
    config: { ...pipeline, log: log.url },
    engine: `imported, Node ${process.versions.node}`,
  });
  try {
    const nothing = { journal: [], negatives: [], queue: null };
    const { bytesWritten } = await committer.commit({ step: 0, state, position: NOWHERE, ...nothing });
    return { run, bytes: bytesWritten };
  } finally {
    await committer.close();
  }
}
