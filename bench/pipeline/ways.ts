import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { RepulsorError } from '../../src/errors.ts';
import { peerEnvironment, peerPython } from '../peers/python.ts';
import { shapePipeline } from '../train-step/shapes.ts';
import { startOurs as startOurStep } from '../train-step/sides.ts';
import { TurnProcess } from '../turn-process.ts';
import type { Encoding } from './images.ts';
import { SHAPE } from './images.ts';
import type { KafkajsTask, KafkajsTurn } from './kafkajs-process.ts';
import type { OurTask, OurTurn } from './our-process.ts';

/** One way of getting images, in a process of its own that is warm. */
export interface Way {
  /** Which of the cores' work is whose. */
  readonly runsOn: string;
  turn(): Promise<{ readonly images: number; readonly seconds: number; readonly cpu_seconds: number | null }>;
  end(): Promise<void>;
}

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const node = (name: string, file: string, task: object): Promise<TurnProcess<object, object>> =>
  TurnProcess.start(name, process.execPath, ['--import', 'tsx', path(file), JSON.stringify(task)]);

function wayOf<T extends Omit<OurTurn, 'images'>>(
  running: TurnProcess<object, object>,
  runsOn: string,
  images: (turn: T) => number,
): Way {
  return {
    runsOn,
    async turn() {
      const answer = await running.ask<T>({});
      return { images: images(answer), seconds: answer.seconds, cpu_seconds: answer.cpu_seconds };
    },
    async end() {
      await running.end().catch(() => running.kill());
    },
  };
}

export async function startOurs(task: OurTask): Promise<Way> {
  const runsOn = task.log.startsWith('kafka') ? "one thread; the broker's beside it" : 'one thread; PNG in a pool';
  return wayOf<OurTurn>(await node('ours', 'our-process.ts', task), runsOn, ({ images }) => images);
}

export async function startKafkajs(task: KafkajsTask, images: number): Promise<Way> {
  const running = await node('kafkajs', 'kafkajs-process.ts', task);
  return wayOf<KafkajsTurn>(running, "one thread; the broker's beside it", () => images);
}

interface StreamingTask {
  readonly images: string;
  readonly folder: string;
  readonly count: number;
  readonly encoding: Encoding;
  readonly batch: number;
  /** Processes that read and decode; 0: the one that takes the batches. */
  readonly workers: number;
}

export async function startStreaming(task: StreamingTask): Promise<Way> {
  const whole = { ...task, shape: SHAPE };
  const script = path('../peers/streaming_peer.py');
  const args = [script, JSON.stringify(whole)];
  const running = await TurnProcess.start<object, object>('streaming', peerPython(), args, peerEnvironment());
  const runsOn = task.workers === 0 ? 'one process' : `one process and ${task.workers} workers`;
  const way = wayOf<OurTurn>(running, runsOn, ({ images }) => images);
  // What workers have used up is known only once they have ended.
  return task.workers === 0 ? way : { ...way, turn: async () => ({ ...(await way.turn()), cpu_seconds: null }) };
}

/** kcat takes every record and prints one character of each. */
export async function startKcat(port: number, topic: string, images: number): Promise<Way> {
  const args = ['-C', '-b', `127.0.0.1:${port}`, '-t', topic, '-o', 'beginning', '-e', '-q', '-f', '.'];
  const turn: Way['turn'] = () =>
    new Promise((resolve, reject) => {
      const begun = performance.now();
      spawn('kcat', args, { stdio: ['ignore', 'ignore', 'inherit'] })
        .once('error', (cause) =>
          reject(
            new RepulsorError('ENGINE_UNAVAILABLE', `kcat does not run: ${cause.message}`, {
              hint: 'run: bench/peers/setup; or measure without it: --no-peers',
            }),
          ),
        )
        .once('close', (status) => {
          const seconds = (performance.now() - begun) / 1000;
          if (status === 0) resolve({ images, seconds, cpu_seconds: null });
          else reject(new RepulsorError('USAGE', `kcat ended with ${status}`, { hint: 'Its own words are above.' }));
        });
    });
  await turn();
  return { runsOn: "its threads; the broker's beside it", turn, end: async () => undefined };
}

/** What the train step of shape (a) uses up. */
export async function startTraining(): Promise<Way> {
  const pipeline = await shapePipeline('a');
  const side = await startOurStep('training', { pipeline, threads: availableParallelism(), device: 'cpu' });
  const steps = Math.max(1, Math.round(2 / side.step_seconds));
  return {
    runsOn: `${availableParallelism()} threads`,
    async turn() {
      const seconds = steps * (await side.turn(steps)).seconds;
      return { images: steps * pipeline.operators.batch, seconds, cpu_seconds: null };
    },
    async end() {
      side.kill();
    },
  };
}
