/** A child of the pipeline benchmark: our operators, from a log to batches that a trainer could take. */
import { openLog } from '../../src/log/open-log.ts';
import { openBatches } from '../../src/operators/batches.ts';
import { task } from '../child.ts';
import { peakBytes } from '../peak-memory.ts';
import { takeTurns } from '../turn-process.ts';
import { CLASSES, SHAPE } from './images.ts';

export interface OurTask {
  readonly log: string;
  readonly topic: string;
  readonly batch: number;
  readonly window: number;
}

/** A pass over the topic. */
export interface OurTurn {
  readonly images: number;
  readonly seconds: number;
  /** Of all threads of this process. */
  readonly cpu_seconds: number;
}

const { log: url, topic, batch, window }: OurTask = task();

/** From opening the stream to its last batch, as a trainer that is always ready for the next one would see it. */
async function pass(): Promise<OurTurn> {
  const log = await openLog(url);
  const begun = performance.now();
  const cpu = process.cpuUsage();
  const batches = openBatches(log, {
    topics: [topic],
    position: null,
    epochs: 1,
    seed: 0,
    shape: SHAPE,
    classes: CLASSES,
    window,
    mix: null,
    flip: true,
    latentScale: 1,
    size: batch,
    depth: 4,
    badRecords: { share: 0.5, over: 1000 },
  });
  let images = 0;
  for (let next = await batches.next(); next !== null; next = await batches.next()) {
    images += next.size;
    batches.reuse(next); // as the trainer does, once a step is told
  }
  const seconds = (performance.now() - begun) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  await batches.close();
  await log.close();
  return { images, seconds, cpu_seconds: (user + system) / 1e6 };
}

await pass();
await takeTurns<object>({}, pass, () => ({ peak_bytes: peakBytes() }));
