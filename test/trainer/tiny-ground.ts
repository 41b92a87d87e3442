import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import type { BlobStore } from '../../src/checkpoint/store.ts';
import { openEngine } from '../../src/engine/choose.ts';
import type { Engine, EngineWish } from '../../src/engine/engine.ts';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import { type TrainResult, type TrainSettings, train } from '../../src/trainer/trainer.ts';
import { type CommittedRun, fillTopic, readCommitted } from './tiny-run.ts';

/** Where tiny runs are trained in the test's own process: an engine, and a folder with a file log that holds the 200 digits. */
export interface TinyGround {
  readonly engine: Engine;
  readonly folder: string;
  readonly log: Log;
  /** The folder of a run's blobs. */
  blobs(run: string): string;
  store(run: string): Promise<BlobStore>;
  train(run: string, pipeline: Pipeline, more?: Partial<TrainSettings>): Promise<TrainResult>;
  committed(run: string): Promise<CommittedRun>;
  close(): Promise<void>;
}

export async function openTinyGround(name: EngineWish = 'native'): Promise<TinyGround> {
  const { engine } = await openEngine({ name });
  const folder = await mkdtemp(join(tmpdir(), 'repulsor-tiny-'));
  const log = await openLog(`file:${join(folder, 'log')}`);
  await fillTopic(log);
  const blobs = (run: string) => join(folder, run, 'blobs');
  const store = (run: string) => openFolderStore(blobs(run));
  return {
    ...{ engine, folder, log, blobs, store },
    async train(run, pipeline, more = {}) {
      const { signal } = new AbortController();
      const settings = { pipeline, log, run, engine, observer: {}, signal, ...more };
      return train({ ...settings, store: more.store ?? (await store(run)) });
    },
    committed: (run) => readCommitted(log, run, blobs(run)),
    async close() {
      await log.close();
      engine.dispose();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
