import { Worker } from 'node:worker_threads';
import { RepulsorError } from '../errors.ts';
import type { Representation, Views } from './representation.ts';

/** In a clone the module is TypeScript, which a loader reads (bin/repulsor.js); in the package it is compiled. */
const SOURCE = import.meta.url.endsWith('.ts');
const MODULE = new URL(SOURCE ? './representation-worker.ts' : './representation-worker.js', import.meta.url);
const LOADER = SOURCE ? import.meta.resolve('tsx/esm/api') : null;

/** As text: tsx reads the flag `--import tsx` on a process's main thread only. */
const START = `
const { module, loader } = require('node:worker_threads').workerData;
(loader === null ? Promise.resolve() : import(loader).then(({ register }) => register())).then(() => import(module));
`;

type Reply = { readonly found: Representation } | { readonly failure: string };

/**
 * Computes representations on a thread of its own: eigenvalues and all pairs of images take seconds, in which no heartbeat and no
 * step would start here. One at a time. It keeps no process alive but while it computes.
 */
export class RepresentationThread {
  #worker: Worker | null = null;

  /** @throws RepulsorError ENGINE_FAILED with what was wrong with the views, or that the thread died */
  async compute(views: Views): Promise<Representation> {
    this.#worker ??= new Worker(START, {
      eval: true,
      execArgv: [],
      workerData: { module: MODULE.href, loader: LOADER },
    });
    const worker = this.#worker;
    worker.ref();
    try {
      const reply = await new Promise<Reply>((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
        worker.once('exit', (code) => reject(new Error(`its thread ended with status ${code}`)));
        worker.postMessage(views);
      });
      if ('found' in reply) return reply.found;
      throw new Error(reply.failure);
    } catch (cause) {
      throw new RepulsorError('ENGINE_FAILED', `the representation cannot be measured: ${(cause as Error).message}`, {
        hint: 'training goes on; check evaluation.topic and evaluation.images, or set evaluation.everySteps to null',
        cause,
      });
    } finally {
      for (const event of ['message', 'error', 'exit']) worker.removeAllListeners(event);
      worker.unref();
    }
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
    this.#worker = null;
  }
}
