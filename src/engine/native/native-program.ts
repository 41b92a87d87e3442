import { RepulsorError } from '../../errors.ts';
import type {
  HostTensor,
  HostTensors,
  InputValue,
  OpTime,
  Program,
  ProgramDefinition,
  StateSnapshot,
  TensorSpec,
} from '../engine.ts';
import type { Precision } from '../product.ts';
import * as contract from '../program-contract.ts';
import { Turns } from '../turns.ts';
import { type CApi, DATA_TYPE, type Pointer } from './c-api.ts';
import { Graph, type ProductForm } from './graph.ts';
import { decodeOpTimes } from './op-times.ts';
import { RunPlan, Session } from './session.ts';
import { takeRoom } from './state-room.ts';
import { copyTensor, deleteTensors, newTensor, newTensors, tensorView } from './tensor-memory.ts';
import { isNotForCompiler, type Traced, Traces } from './traces.ts';

/** A program as a TensorFlow graph, its state in the variables of one session: traced once for each shape of its inputs. */
export class NativeProgram implements Program {
  readonly #api: CApi;
  readonly #definition: contract.ProgramSignature;
  readonly #graph: Graph;
  readonly #session: Session;
  readonly #traces: Traces;
  readonly #read: RunPlan;
  readonly #turns = new Turns();
  #disposed = false;

  private constructor(definition: contract.ProgramSignature, graph: Graph, config: Uint8Array, isWhole: boolean) {
    this.#api = graph.api;
    this.#definition = definition;
    this.#graph = graph;
    this.#traces = new Traces(graph, definition, isWhole);
    const reads = [...this.#traces.state.variables.values()].map(({ value }) => value);
    this.#read = new RunPlan([], reads, []);
    this.#session = new Session(graph, config);
  }

  /** `isWhole`: as one function, where the compiler can. `bf16`: how products of bfloat16 are made, if they are asked for. */
  static async compile(
    api: CApi,
    {
      config,
      isWhole,
      bf16,
    }: {
      readonly config: (precision: Precision) => Uint8Array;
      readonly isWhole: boolean;
      readonly bf16: ProductForm;
    },
    definition: ProgramDefinition,
  ): Promise<NativeProgram> {
    contract.checkDefinition(definition);
    const { precision = 'fp32' } = definition;
    const operands = precision === 'bf16' ? bf16 : null;
    const graph = new Graph(api, operands);
    let program: NativeProgram | undefined;
    try {
      program = new NativeProgram(
        contract.signatureOf(definition),
        graph,
        config(operands === 'narrow' ? 'bf16' : 'fp32'),
        isWhole,
      );
      await program.#write(definition.state);
      return program;
    } catch (error) {
      if (program !== undefined) program.#session[Symbol.dispose]();
      graph[Symbol.dispose]();
      throw contract.engineFailure(definition, 'while it was compiled', error);
    }
  }

  get compiled(): Program['compiled'] {
    return { seconds: this.#traces.seconds, ops: this.#graph.size };
  }

  async run(inputs: Readonly<Record<string, InputValue>>, step: number): Promise<HostTensors> {
    const given = contract.checkInputs(this.#definition, inputs);
    contract.checkStep(this.#definition, step);
    return this.#turn(`step ${step}`, async () => {
      const [{ outputs }, fetched] = await this.#step(given, step, (plan, feed) => this.#session.run(plan, feed));
      return this.#collect([...outputs], fetched);
    });
  }

  async profile(inputs: Readonly<Record<string, InputValue>>, step: number): Promise<OpTime[]> {
    const given = contract.checkInputs(this.#definition, inputs);
    contract.checkStep(this.#definition, step);
    return this.#turn(`step ${step}`, async () => {
      const [, { fetched, metadata }] = await this.#step(given, step, (plan, feed) =>
        this.#session.runProfiled(plan, feed),
      );
      deleteTensors(this.#api, fetched);
      return decodeOpTimes(metadata).map((op) => ({ ...op, code: this.#traces.sites.inName(op.name) }));
    });
  }

  async readState(names?: readonly string[]): Promise<HostTensors> {
    const { tensors, release } = await this.snapshot(names ?? Object.keys(this.#definition.state));
    try {
      return Object.fromEntries(
        Object.entries(tensors).map(([name, tensor]) => [name, { ...tensor, data: tensor.data.slice() }]),
      );
    } finally {
      release();
    }
  }

  /**
   * A fetch is a reference to the variable's buffer, and TensorFlow writes no buffer that somebody else refers to: a step that
   * updates it (states-in-place.ts) or assigns it takes a new one. Of a state that steps write rows into (rows-in-place.ts) it is a copy.
   */
  async snapshot(names: readonly string[]): Promise<StateSnapshot> {
    contract.checkStateNames(this.#definition, names);
    const wanted = new Set(names);
    return this.#turn('while its state was read', async () => {
      // All are fetched, whatever is wanted. Each new set of fetches would cost TensorFlow another copy of the graph,
      // kept for the session's life.
      const fetched = await this.#run(this.#read, []);
      const tensors: HostTensors = {};
      let held: Pointer[] = [];
      for (const [i, [name, { dtype, shape }]] of Object.entries(this.#definition.state).entries()) {
        const tensor = fetched[i]!;
        if (!wanted.has(name)) {
          this.#api.deleteTensor(tensor);
          continue;
        }
        held.push(tensor);
        tensors[name] = { shape: [...shape], dtype, data: tensorView(this.#api, tensor, dtype) };
      }
      const release = () => {
        deleteTensors(this.#api, held);
        held = [];
      };
      return { tensors, release };
    });
  }

  async writeState(values: HostTensors): Promise<void> {
    contract.checkStateValues(this.#definition, values);
    return this.#turn('while its state was written', () => this.#write(values));
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    // A run in progress still uses them: they go after it.
    void this.#turns.take(async () => {
      this.#session[Symbol.dispose]();
      this.#graph[Symbol.dispose]();
    });
  }

  /** One run of the program; of one that turns out not to be for the compiler, op by op. */
  async #step<R>(
    given: contract.Fed,
    step: number,
    run: (plan: RunPlan, feed: readonly Pointer[]) => Promise<R>,
  ): Promise<[Traced, R]> {
    const feed = newTensors(this.#api, this.#feed(given, step));
    const once = async (traced: Traced): Promise<[Traced, R]> => [
      traced,
      await run(this.#traces.plan(traced, given), feed),
    ];
    try {
      const traced = this.#traces.of(given);
      try {
        return await once(traced);
      } catch (error) {
        if (!(traced.isWhole && isNotForCompiler(error))) throw error;
        return await once(this.#traces.opByOp(given)); // It refuses before anything has run.
      }
    } finally {
      deleteTensors(this.#api, feed);
    }
  }

  #feed({ specs, data }: contract.Fed, step: number): (() => Pointer)[] {
    const feed = Object.entries(specs).map(([name, { dtype, shape }]) => () => {
      const type = data[name] instanceof Uint8Array ? DATA_TYPE.uint8 : DATA_TYPE[dtype];
      return newTensor(this.#api, type, shape, data[name]!);
    });
    return [...feed, () => newTensor(this.#api, DATA_TYPE.uint64, [2], BigUint64Array.of(0n, BigInt(step)))];
  }

  async #write(values: HostTensors): Promise<void> {
    const names = Object.keys(values);
    const all = names.length === this.#traces.state.variables.size;
    // All at once, or one by one, for the same reason as in readState: no more kinds of run than variables + 1.
    for (const group of all ? [Object.keys(this.#definition.state)] : names.map((name) => [name])) {
      if (group.length === 0) continue;
      const variables = group.map((name) => this.#traces.state.variables.get(name)!);
      const plan = new RunPlan(
        variables.map(({ written }) => written),
        [],
        variables.map(({ write }) => write),
      );
      await this.#run(
        plan,
        group.map((name) => () => this.#upload(values[name]!)),
      );
    }
  }

  #upload(value: HostTensor): Pointer {
    return takeRoom(value) ?? newTensor(this.#api, DATA_TYPE[value.dtype], value.shape, value.data);
  }

  /** Makes what is fed, runs, and deletes it. What comes out is the caller's to delete. */
  async #run(plan: RunPlan, make: readonly (() => Pointer)[]): Promise<Pointer[]> {
    const feed = newTensors(this.#api, make);
    try {
      return await this.#session.run(plan, feed);
    } finally {
      deleteTensors(this.#api, feed);
    }
  }

  /** Copies what was fetched, and deletes it. */
  #collect(names: readonly (readonly [string, TensorSpec])[], fetched: readonly Pointer[]): HostTensors {
    try {
      return Object.fromEntries(
        names.map(([name, { dtype, shape }], i) => {
          return [name, { shape: [...shape], dtype, data: copyTensor(this.#api, fetched[i]!, dtype) }] as const;
        }),
      );
    } finally {
      deleteTensors(this.#api, fetched);
    }
  }

  #turn<T>(doing: string, work: () => Promise<T>): Promise<T> {
    return this.#turns.take(async () => {
      if (this.#disposed) {
        throw new RepulsorError('ENGINE_FAILED', `program "${this.#definition.name}" was disposed`, {
          hint: 'dispose a program after its last use only',
        });
      }
      try {
        return await work();
      } catch (error) {
        const site = this.#traces.sites.inMessage(String(error)) ?? null;
        throw contract.engineFailure(this.#definition, doing, error, site);
      }
    });
  }
}
