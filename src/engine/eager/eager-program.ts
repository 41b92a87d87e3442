import * as tf from '@tensorflow/tfjs-core';
import { RepulsorError } from '../../errors.ts';
import { normals, uniforms } from '../../random/philox.ts';
import { callProgram } from '../call-program.ts';
import type {
  HostTensor,
  HostTensors,
  InputSpec,
  InputValue,
  Program,
  ProgramDefinition,
  Random,
  StateSnapshot,
  TensorSpec,
  Tensors,
} from '../engine.ts';
import { onBackend } from '../on-backend.ts';
import * as contract from '../program-contract.ts';
import { Turns } from '../turns.ts';

/** A program that runs op by op: its function is called at every run, its state is kept as tensors of the backend. */
export class EagerProgram implements Program {
  readonly compiled = { seconds: 0, ops: 0 };
  readonly #backend: string;
  readonly #definition: contract.ProgramSignature;
  readonly #turns = new Turns();
  /** Owned here: replaced tensors are disposed at once, the rest by `dispose`. */
  readonly #state: Map<string, tf.Tensor>;
  #disposed = false;

  constructor(backend: string, definition: ProgramDefinition) {
    contract.checkDefinition(definition);
    this.#backend = backend;
    this.#definition = contract.signatureOf(definition);
    this.#state = onBackend(
      backend,
      () => new Map(Object.entries(definition.state).map(([name, value]) => [name, upload(value)])),
    );
  }

  async run(inputs: Readonly<Record<string, InputValue>>, step: number): Promise<HostTensors> {
    const given = contract.checkInputs(this.#definition, inputs);
    contract.checkStep(this.#definition, step);
    return this.#turns.take(async () => {
      this.#refuseIfDisposed();
      return download(this.#step(given, step));
    });
  }

  async readState(names?: readonly string[]): Promise<HostTensors> {
    contract.checkStateNames(this.#definition, names ?? []);
    return this.#turns.take(async () => {
      this.#refuseIfDisposed();
      return download((names ?? [...this.#state.keys()]).map((name) => [name, this.#state.get(name)!.clone()]));
    });
  }

  /** A copy: what a backend keeps is its own, and is read by copying it. */
  async snapshot(names: readonly string[]): Promise<StateSnapshot> {
    return { tensors: await this.readState(names), release: () => {} };
  }

  async writeState(values: HostTensors): Promise<void> {
    contract.checkStateValues(this.#definition, values);
    return this.#turns.take(async () => {
      this.#refuseIfDisposed();
      onBackend(this.#backend, () => {
        for (const [name, value] of Object.entries(values)) this.#replace(name, upload(value));
      });
    });
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    // A run in progress still holds the state: free it after that.
    void this.#turns.take(async () => {
      for (const tensor of this.#state.values()) tensor.dispose();
      this.#state.clear();
    });
  }

  /** Calls the function, moves the state on, and returns the outputs, owned by the caller. */
  #step({ specs, data }: contract.Fed, step: number): [string, tf.Tensor][] {
    const definition = this.#definition;
    return onBackend(this.#backend, () => {
      try {
        const { state, outputs } = tf.tidy(() => {
          const fed: Tensors = {};
          for (const [name, spec] of Object.entries(specs)) {
            const tensor = given(spec, data[name]!, definition.inputs[name]!);
            fed[name] = contract.checkOfBytes(definition, name, spec, tensor);
          }
          const result = callProgram(
            definition.fn,
            Object.fromEntries(this.#state),
            fed,
            hostRandom(definition.seed, step),
          );
          contract.checkResult(definition, result);
          // Cloned, because a function may return one tensor twice, or an input, or a state tensor as it is.
          const copy = (tensors: Tensors = {}) =>
            Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, tensor.clone()]));
          return { state: copy(result.state), outputs: copy(result.outputs) };
        });
        for (const [name, tensor] of Object.entries(state)) this.#replace(name, tensor);
        return Object.entries(outputs);
      } catch (error) {
        throw contract.engineFailure(definition, `step ${step}`, error);
      }
    });
  }

  #replace(name: string, tensor: tf.Tensor): void {
    this.#state.get(name)!.dispose();
    this.#state.set(name, tensor);
  }

  #refuseIfDisposed(): void {
    if (!this.#disposed) return;
    throw new RepulsorError('ENGINE_FAILED', `program "${this.#definition.name}" was disposed`, {
      hint: 'dispose a program after its last use only',
    });
  }
}

const given = (spec: TensorSpec, data: Float32Array | Int32Array | Uint8Array, { ofBytes }: InputSpec): tf.Tensor =>
  data instanceof Uint8Array
    ? ofBytes!(upload({ ...spec, dtype: 'int32', data: Int32Array.from(data) }))
    : upload({ ...spec, data });

/** Copied: tfjs may keep the array it is given, and the caller may change it after the call. */
const upload = (value: HostTensor): tf.Tensor => tf.tensor(value.data.slice(), [...value.shape], value.dtype);

/** Reads the tensors and disposes them, whatever happens. */
async function download(tensors: [string, tf.Tensor][]): Promise<HostTensors> {
  try {
    const host: HostTensors = {};
    for (const [name, tensor] of tensors) {
      const data = await tensor.data();
      // Copied: the data may be the tensor's own memory. Booleans leave as int32.
      const copy =
        tensor.dtype === 'float32' ? Float32Array.from(data as Float32Array) : Int32Array.from(data as Int32Array);
      host[name] = { shape: [...tensor.shape], dtype: tensor.dtype === 'float32' ? 'float32' : 'int32', data: copy };
    }
    return host;
  } finally {
    for (const [, tensor] of tensors) tensor.dispose();
  }
}

const hostRandom = (seed: number, step: number): Random => ({
  uniform: (purpose, shape) => tf.tensor(uniforms(seed, purpose, step, tf.util.sizeFromShape(shape)), shape, 'float32'),
  normal: (purpose, shape) => tf.tensor(normals(seed, purpose, step, tf.util.sizeFromShape(shape)), shape, 'float32'),
});
