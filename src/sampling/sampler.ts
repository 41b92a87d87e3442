import type { Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Engine, HostTensor, Program, ProgramFunction } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import { type ParameterLayout, sizeOf, unpack } from '../model/parameters.ts';
import { nullClass, type SiTSettings, sit, sitLayout } from '../model/sit.ts';
import { normals } from '../random/philox.ts';
import {
  DEFAULT_GUIDANCE,
  DEFAULT_SOLVER,
  type GuidanceSettings,
  type SolverSettings,
} from '../trainer/sampling-settings.ts';
import { DEFAULT_TRANSPORT, type TransportSettings } from '../transport/transport.ts';
import type { Field } from './field.ts';
import { guidanceAt, guided } from './guidance.ts';
import { evaluations, integrate } from './integrate.ts';

/** What is drawn from, and how. */
export interface SamplerSettings {
  readonly model: SiTSettings;
  /** The weights to sample from (the EMA's), flat, as `layout` says. */
  readonly parameters: HostTensor | Float32Array;
  /** Default: the model's own, `sitLayout`. */
  readonly layout?: ParameterLayout;
  /** What the weights were trained for. Default: velocity on the linear path. */
  readonly transport?: TransportSettings;
  /** Default: Euler in 25 steps, guidance 1.5. */
  readonly sampling?: Partial<SolverSettings & GuidanceSettings>;
}

/** What to draw. */
export interface ImageRequest {
  /** One class per image wanted. */
  readonly labels: readonly number[];
  readonly seed: number;
  /** Number of the first image, for a request that goes on where another ended. Default 0. */
  readonly first?: number;
  /** What the images begin as, (n, H, W, C); drawn from the seed when not given. */
  readonly noise?: Float32Array;
  /** Called after each evaluation, with the share done, to 1 at the end. */
  readonly onProgress?: (done: number) => void;
}

export type SampleRequest = SamplerSettings & ImageRequest;

/** Weights ready to be drawn from, again and again: compiled once. Owned by whoever opened it, who calls `dispose`. */
export interface Sampler {
  /**
   * Draws one image a label. Image i depends on its noise, its label and, for what an SDE adds, (seed, i) alone: neither on
   * how many are asked for nor on their order elsewhere.
   * @throws RepulsorError USAGE for labels or noise that do not fit the model, DIVERGED, and what the engine throws
   */
  draw(request: ImageRequest): Promise<Samples>;
  /** Takes other weights of the same model. @throws RepulsorError ENGINE_FAILED where they do not fit */
  load(parameters: HostTensor | Float32Array): Promise<void>;
  dispose(): void;
}

/** What was drawn. Both (n, H, W, C), row-major, in the model's own range, which is [-1, 1] for images of bytes. */
export interface Samples {
  readonly images: Float32Array;
  /** What they began as. */
  readonly noise: Float32Array;
  /** Calls of the network for one batch of images, the most of all batches. */
  readonly evaluations: number;
}

/** Images of one engine call. The last call of a larger request is filled up, so that it is of no shape of its own. */
const BATCH = 100;

/** Draws once: `openSampler`, a draw, and its disposal. */
export async function sample(engine: Engine, request: SampleRequest): Promise<Samples> {
  const sampler = await openSampler(engine, request);
  try {
    return await sampler.draw(request);
  } finally {
    sampler.dispose();
  }
}

/** @throws RepulsorError ENGINE_FAILED */
export async function openSampler(engine: Engine, settings: SamplerSettings): Promise<Sampler> {
  const { model, layout = sitLayout(model), transport = DEFAULT_TRANSPORT } = settings;
  const sampling = { ...DEFAULT_SOLVER, ...DEFAULT_GUIDANCE, ...settings.sampling };
  const program = await engine.compile({
    name: 'sample',
    seed: 0, // It draws nothing.
    state: { parameters: asTensor(settings.parameters) },
    inputs: {
      x: { shape: ['batch', ...model.input], dtype: 'float32' },
      t: { shape: ['batch'], dtype: 'float32' },
      labels: { shape: ['batch'], dtype: 'int32' },
      guidance: { shape: ['batch'], dtype: 'float32' },
    },
    fn: guidedOutput(model, layout, sampling),
  });
  return {
    draw: (request) => draw(program, { model, transport, sampling }, request),
    load: (parameters) => program.writeState({ parameters: asTensor(parameters) }),
    dispose: () => program.dispose(),
  };
}

interface How {
  readonly model: SiTSettings;
  readonly transport: TransportSettings;
  readonly sampling: SolverSettings & GuidanceSettings;
}

async function draw(program: Program, { model, transport, sampling }: How, request: ImageRequest): Promise<Samples> {
  const { labels, seed, first = 0, onProgress } = request;
  const size = sizeOf(model.input);
  const unknown = labels.find((label) => !(Number.isInteger(label) && label >= 0 && label <= nullClass(model)));
  if (unknown !== undefined)
    throw refused(`there is no class ${unknown}`, `0 to ${nullClass(model)}, which stands for none`);
  const noise = request.noise ?? startingNoise(seed, first, labels.length, size);
  if (noise.length !== labels.length * size)
    throw refused(
      `${noise.length} numbers of noise are not those of ${labels.length} images of ${model.input.join(' x ')}`,
      'give one image of noise a label',
    );
  const images = new Float32Array(noise.length);
  const b = Math.min(BATCH, labels.length);
  const calls = Math.ceil(labels.length / b);
  let most = 0;
  for (let call = 0; call < calls; call++) {
    const [from, to] = [call * b, Math.min((call + 1) * b, labels.length)];
    const wanted = Int32Array.from({ length: b }, (_, i) => labels[from + i] ?? nullClass(model));
    const start = new Float32Array(b * size);
    start.set(noise.subarray(from * size, to * size));
    const added = (step: number) => {
      const z = new Float32Array(b * size);
      for (let i = 0; i < b; i++) z.set(normals(seed, `diffusion/${first + from + i}`, step, size), i * size);
      return z;
    };
    const progress = (done: number) => onProgress?.((call + done) / calls);
    const counted = counting(network(program, wanted, sampling), evaluations(sampling), progress);
    const made = await integrate(counted.field, start, { samples: b, transport, sampling, noise: added });
    images.set(made.subarray(0, (to - from) * size), from * size);
    most = Math.max(most, counted.count());
    if (evaluations(sampling) === null) progress(1);
  }
  return { images, noise, evaluations: most };
}

const asTensor = (parameters: HostTensor | Float32Array): HostTensor =>
  parameters instanceof Float32Array ? { shape: [parameters.length], dtype: 'float32', data: parameters } : parameters;

function refused(what: string, hint: string): RepulsorError {
  return new RepulsorError('USAGE', what, { hint });
}

function startingNoise(seed: number, first: number, images: number, size: number): Float32Array {
  const noise = new Float32Array(images * size);
  for (let i = 0; i < images; i++) noise.set(normals(seed, 'sample', first + i, size), i * size);
  return noise;
}

/** The compiled network as a field over host arrays. */
function network(program: Program, labels: Int32Array, guidance: GuidanceSettings): Field {
  return async (x, t) => {
    const scale = Float32Array.from(t, (at) => guidanceAt(guidance, at));
    const out = await program.run({ x, t: Float32Array.from(t), labels, guidance: scale }, 0);
    return out['output'].data as Float32Array;
  };
}

/** Counts evaluations. How much is done they tell where their number is known, and else the time that all have reached. */
function counting(field: Field, total: number | null, onProgress: (done: number) => void) {
  let count = 0;
  let reached = 0;
  const counted: Field = async (x, t) => {
    const out = await field(x, t);
    count++;
    reached = Math.max(
      reached,
      t.reduce((least, at) => Math.min(least, at), 1),
    );
    onProgress(total === null ? reached : count / total);
    return out;
  };
  return { field: counted, count: () => count };
}

/** What the network gives under guidance, (B, H, W, C); both halves in one forward pass. */
function guidedOutput(model: SiTSettings, layout: ParameterLayout, guidance: GuidanceSettings): ProgramFunction {
  return (state, inputs) => {
    const parameters = unpack(state['parameters'] as Tensor1D, layout);
    const { x } = inputs;
    const [t, labels] = [inputs['t'] as Tensor1D, inputs['labels'] as Tensor1D];
    if (guidance.guidance === 1) return { outputs: { output: sit(parameters, model, { x, t, labels }, []).output } };
    const both = tf.concat([labels, tf.fill([x.shape[0]], nullClass(model), 'int32') as Tensor1D]);
    const { output } = sit(parameters, model, { x: tf.concat([x, x]), t: tf.concat([t, t]), labels: both }, []);
    const [labelled, unlabelled] = tf.split(output, 2);
    const scale = inputs['guidance'] as Tensor1D;
    return { outputs: { output: guided(labelled, unlabelled, scale, guidance.guidedChannels) } };
  };
}
