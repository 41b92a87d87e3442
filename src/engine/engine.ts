import type { Tensor } from '@tensorflow/tfjs-core';
import type { Precision } from './product.ts';

/**
 * The engine: runs functions written in tfjs-core ops. Model code never knows which one runs it.
 * Three implementations: native (src/engine/native, a traced TensorFlow graph through the C API), wasm and cpu
 * (op by op under tfjs). `src/engine/choose.ts` picks one, out loud.
 */

export type EngineName = 'native' | 'wasm' | 'cpu';

/**
 * What may be asked for. `auto` takes the best that works here, `native` the native engine on the best device that works
 * here, and says which; the others are that one or an error, never another.
 */
export const ENGINE_WISHES = ['auto', 'native', 'native-gpu', 'native-cpu', 'wasm', 'cpu'] as const;
export type EngineWish = (typeof ENGINE_WISHES)[number];
export type DType = 'float32' | 'int32';

export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/**
 * What an input must be. A size that has a name is left open: every run may have another, the same wherever the name stands.
 * ['batch', 28, 28, 1] takes any number of images.
 */
export interface InputSpec {
  readonly shape: readonly (number | string)[];
  readonly dtype: DType;
  /**
   * Makes the input of bytes, in ops: then a run may be given a Uint8Array instead, which goes to the device as it is. Takes their
   * values (int32) and gives a tensor of the input's shape and dtype. Called where the function is.
   */
  readonly ofBytes?: (bytes: Tensor) => Tensor;
}

/** A tensor's value on the host, row-major. */
export interface HostTensor extends TensorSpec {
  readonly data: Float32Array | Int32Array;
}

export type HostTensors = Record<string, HostTensor>;

/** Numbers, row-major; with their shape where more than one of its sizes is open. */
export type InputValue = Float32Array | Int32Array | Uint8Array | HostTensor;
export type Tensors = Record<string, Tensor>;

/**
 * Counter-based random numbers (Philox4x32-10): a pure function of (seed, purpose, step, index). There is no hidden
 * state, so nothing of it is ever saved. The same numbers as src/random/philox.ts gives: uniforms bit for bit,
 * normals to 1e-6. Each `purpose` is an independent stream.
 */
export interface Random {
  /** Uniform in [0, 1), float32. */
  uniform(purpose: string, shape: number[]): Tensor;
  /** Standard normal, float32. */
  normal(purpose: string, shape: number[]): Tensor;
}

/**
 * A pure function from state and inputs to new state and outputs. Called once for each shape of its inputs on the native engine
 * (traced), once a run on the others. It makes tensors freely: the engine disposes all of them but those it returns.
 * `state` of the result holds only the tensors that change; a name absent from it keeps its value. It may not look at
 * values (dataSync, print): on the native engine there are none yet.
 */
export type ProgramFunction = (
  state: Tensors,
  inputs: Tensors,
  random: Random,
) => { readonly state?: Tensors; readonly outputs: Tensors };

export interface ProgramDefinition {
  /** For messages and profiles. */
  readonly name: string;
  /** Keys the random streams. A safe integer. */
  readonly seed: number;
  /** The initial state, by name. It then lives on the device. */
  readonly state: HostTensors;
  /**
   * With open sizes the native engine traces at the first run with new ones, and keeps what it traced as long as the program:
   * right for a few shapes, not for one of thousands a run. Errors of the function are then the run's.
   */
  readonly inputs: Record<string, InputSpec>;
  readonly fn: ProgramFunction;
  /** Of the products that are left to the program (src/engine/product.ts); fp32 where it is not said. */
  readonly precision?: Precision;
}

/** State as it was between two runs. Whoever took it releases it. */
export interface StateSnapshot {
  /** Views of the engine's own memory: nothing may look at them, or write them, once they are released. */
  readonly tensors: HostTensors;
  /** Does nothing the second time. */
  release(): void;
}

/** What one op of a profiled run did. */
export interface OpTime {
  /** The op's name in the graph as it ran: TensorFlow's optimizers add, fuse and rename. */
  readonly name: string;
  readonly type: string;
  /** The code that made it, `src/model/linear.ts:12:9`; absent for state, inputs, random numbers and constants. */
  readonly code?: string | undefined;
  /** Seconds since the first op began, and seconds of the op itself. */
  readonly start: number;
  readonly seconds: number;
  /** Bytes of its results. */
  readonly bytes: number;
  /** The thread that began it; a large op's parts run on others too. */
  readonly thread: number;
}

/** A compiled function and its state. Owned by whoever compiled it, who calls `dispose`. */
export interface Program {
  /**
   * Seconds spent on tracing so far, and ops in the graph and its functions (0 where nothing is compiled). The graph is optimized at the first
   * run of each shape, which takes up to some seconds longer than the next.
   */
  readonly compiled: { readonly seconds: number; readonly ops: number };
  /**
   * One run: the inputs go in, the state moves on, the outputs come out. On the native engine the main thread stays
   * free; the others compute on it. The inputs are read when the run's turn comes: leave them as they are until then.
   * `step` counts the random streams. Runs of one program never overlap: a call waits for the one before.
   * @throws RepulsorError ENGINE_FAILED naming the input that is missing or misshapen, or what the engine said.
   */
  run(inputs: Readonly<Record<string, InputValue>>, step: number): Promise<HostTensors>;
  /**
   * One run as above, slower, that also tells what each op of the graph took (src/engine/native/op-times.ts). Absent where
   * nothing is compiled.
   */
  profile?(inputs: Readonly<Record<string, InputValue>>, step: number): Promise<OpTime[]>;
  /** Copies of the state, consistent with each other (taken between two runs). All of it, or the names given. */
  readState(names?: readonly string[]): Promise<HostTensors>;
  /**
   * The named state as it stands between two runs, without a copy where the engine keeps the old value of what a run
   * replaces: then it costs the time of no run, and memory only as runs replace what it holds. Until it is released its
   * values stay as they are, whatever runs. For a commit, which writes gigabytes while steps go on.
   */
  snapshot(names: readonly string[]): Promise<StateSnapshot>;
  /** Overwrites the named state. @throws RepulsorError ENGINE_FAILED when a shape or dtype does not fit. */
  writeState(values: HostTensors): Promise<void>;
  dispose(): void;
}

export interface Engine {
  readonly name: EngineName;
  /** "cpu", or "gpu (...)" with its name and all else of it that decides bits. */
  readonly device: string;
  readonly threads: number;
  /**
   * Parts of a batch that a program does best to compute beside each other, chains of ops that do not depend on each other. With as
   * many threads each op has one, with more all of them. 1 where one chain is best.
   */
  readonly lanes: number;
  /** Of the library underneath: "TensorFlow 2.21.0", "tfjs-wasm 4.22.0". */
  readonly version: string;
  /** Products of bfloat16: faster than float32's; slower, so that float32's take their rounded operands; or none. */
  readonly bfloat16: 'fast' | 'slow' | 'none';
  compile(definition: ProgramDefinition): Promise<Program>;
  /**
   * Memory for a state tensor, its values not set, which `compile` takes as it is where the engine can, instead of a copy:
   * for states of gigabytes that are read from a disk. It is the program's then, and nothing else may look at it or write it.
   */
  room(spec: TensorSpec): HostTensor;
  dispose(): void;
}
