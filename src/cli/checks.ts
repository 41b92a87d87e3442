import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, freemem, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { probeStore } from '../checkpoint/probe-store.ts';
import { openRunFolder } from '../checkpoint/run-folder.ts';
import { runsAmong, runTopics } from '../checkpoint/run-id.ts';
import { type OpenedEngine, openEngine } from '../engine/choose.ts';
import type { Engine, EngineWish } from '../engine/engine.ts';
import { hasGpu } from '../engine/native/libraries.ts';
import { RepulsorError } from '../errors.ts';
import { openLog } from '../log/open-log.ts';
import { normals } from '../random/philox.ts';
import { schemaRegistry } from '../registry/schema-registry.ts';
import { unfitSettings } from '../trainer/retention-words.ts';

/** One thing that has to work. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly hint?: string;
}

export interface ChecksOptions {
  readonly engine: EngineWish;
  /** Without it a scratch file log is tried. */
  readonly log?: string;
  readonly store?: string;
  readonly registry?: string;
  /** A run folder, whose log and store are tried where no others are named. */
  readonly run?: string;
}

/** Tries all of it, and says what works. */
export async function runChecks(options: ChecksOptions): Promise<Check[]> {
  const run = options.run === undefined ? null : await openRunFolder(options.run);
  const log = options.log ?? run?.log;
  const store = options.store ?? run?.blobs;
  const { registry } = options;
  return [
    nodeCheck(),
    { name: 'memory', ok: true, detail: `${gib(freemem())} GiB free of ${gib(totalmem())} GiB` },
    { name: 'cores', ok: true, detail: `${cpus().length} (${cpus()[0]?.model.trim() ?? 'unknown'})` },
    await tried('engine', () => engineCheck(options.engine)),
    // After it: a process that has loaded the libraries without CUDA has no GPU any more.
    await tried('gpu', () => gpuCheck(options.engine)),
    await tried('log', () => logCheck(log)),
    ...(log === undefined ? [] : [await tried('runs', () => runsCheck(log))]),
    ...(store === undefined ? [] : [await tried('store', () => storeCheck(store))]),
    ...(registry === undefined ? [] : [await tried('registry', () => registryCheck(registry))]),
  ];
}

const gib = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);

function nodeCheck(): Check {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const ok = major > 20 || (major === 20 && minor >= 19);
  const tried = [20, 22, 24, 26].includes(major) ? '' : '; what was tried is 20, 22, 24 and 26';
  return {
    name: 'node',
    ok,
    detail: `${process.version}${tried}`,
    ...(ok ? {} : { hint: 'install Node 20.19 or later' }),
  };
}

async function tried(name: string, check: () => Promise<string>): Promise<Check> {
  try {
    return { name, ok: true, detail: await check() };
  } catch (error) {
    const hint = error instanceof RepulsorError ? { hint: error.hint } : {};
    return { name, ok: false, detail: (error as Error).message, ...hint };
  }
}

async function engineCheck(name: EngineWish): Promise<string> {
  return inWords(await openEngine({ name }));
}

/** The GPU, and beside it the same product on the CPU; or what is missing. */
async function gpuCheck(asked: EngineWish): Promise<string> {
  if (asked !== 'native-gpu' && !(await hasGpu())) return 'there is no NVIDIA GPU here';
  if (!['auto', 'native', 'native-gpu'].includes(asked)) return `not tried: --engine ${asked} was asked for`;
  const onGpu = await inWords(await openEngine({ name: 'native-gpu' }));
  return `${onGpu}; on the CPU beside it ${await inWords(await openEngine({ name: 'native-cpu' }))}`;
}

async function inWords({ engine, message }: OpenedEngine): Promise<string> {
  try {
    return `${message}; ${(await gigaflops(engine)).toFixed(0)} GFLOP/s in a float32 matrix product`;
  } finally {
    engine.dispose();
  }
}

/** The best of three runs of products of two square matrices. */
async function gigaflops(engine: Engine): Promise<number> {
  // A GPU takes less time for a product than it takes to ask for it.
  const [n, products] = engine.device.startsWith('gpu') ? [4096, 16] : [engine.name === 'cpu' ? 256 : 1024, 1];
  const matrix = (seed: number) => {
    const data = normals(seed, 'doctor', 0, n * n).map((value) => value / Math.sqrt(n)); // products stay finite
    return { shape: [n, n], dtype: 'float32' as const, data };
  };
  const program = await engine.compile({
    name: 'doctor',
    seed: 0,
    state: { a: matrix(0), b: matrix(1) },
    inputs: {},
    // The matrices lie on the device and one number comes out, so that no copy of a matrix is timed with it.
    fn: ({ a, b }) => {
      let product = a as Tensor2D;
      for (let i = 0; i < products; i++) product = tf.matMul(product, b as Tensor2D);
      return { outputs: { sum: tf.sum(product) } };
    },
  });
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 4; i++) {
    const begin = performance.now();
    await program.run({}, 0);
    if (i > 0) best = Math.min(best, performance.now() - begin);
  }
  program.dispose();
  return (products * 2 * n ** 3) / best / 1e6;
}

/** Whether the topics of every run in the log are kept as recovery needs them. */
async function runsCheck(url: string): Promise<string> {
  const log = await openLog(url, { create: false });
  try {
    const there = await log.topics();
    const runs = runsAmong(there);
    const unfit: string[] = [];
    for (const run of runs)
      for (const topic of Object.values(runTopics(run)).filter((name) => there.includes(name)))
        unfit.push(...unfitSettings(topic, 'own', await log.keeping(topic)));
    if (unfit.length === 0) return `${runs.length} in this log, their topics kept for good`;
    throw new RepulsorError(
      'LOG_FAILED',
      `topics of runs would lose records that recovery needs: ${unfit.join('; ')}`,
      {
        hint: "change these settings with your broker's tools (kafka-configs --alter)",
      },
    );
  } finally {
    await log.close();
  }
}

async function logCheck(url: string | undefined): Promise<string> {
  const scratch = url === undefined ? await mkdtemp(join(tmpdir(), 'repulsor-doctor-')) : null;
  const log = await openLog(url ?? `file:${scratch}`, { create: scratch !== null });
  try {
    if (scratch !== null) {
      await log.createTopic('doctor');
      await log.append('doctor', [{ value: new Uint8Array(1) }]);
      return 'a file log can be written (name a broker with --log to try it)';
    }
    return `${log.url} answers; ${(await log.topics()).length} topics`;
  } finally {
    await log.close();
    if (scratch !== null) await rm(scratch, { recursive: true });
  }
}

async function storeCheck(place: string): Promise<string> {
  const begin = performance.now();
  await probeStore(place);
  return `${place}: a blob was written, read and removed in ${((performance.now() - begin) / 1000).toFixed(1)} s`;
}

/** The greatest id that there can be, which no registry has given out: that it says so proves what a trainer needs of it. */
const FREE_SCHEMA_ID = 2 ** 31 - 1;

async function registryCheck(url: string): Promise<string> {
  await schemaRegistry(url, { patience: 0 })(FREE_SCHEMA_ID);
  return `${url} answers as a schema registry`;
}
