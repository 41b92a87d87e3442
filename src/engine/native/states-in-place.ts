import { DATA_TYPE, type Output, type Pointer } from './c-api.ts';
import { type Graph, type GraphFunction, type Operation, output } from './graph.ts';

/** A state of the program: its variable's handle, and the read that gives a step its old value. */
export interface StateHandle {
  readonly handle: Output;
  readonly read: Operation;
  /** TF_DataType. */
  readonly type: number;
}

/** What a step did to a state where it lies. */
export interface StateUpdate {
  /** Writes the new value. */
  readonly call: Operation;
  /** Gives it to the rest of the step. */
  readonly next: Operation;
}

/**
 * The states that one trace updates where they lie, by functions that read a variable and assign it. TensorFlow's compiler
 * writes the new value into the old one's memory where nobody else refers to that, and else into memory of its own
 * (XlaComputationLaunchContext::PopulateInputs, tensorflow/compiler/jit/xla_launch_util.cc): a snapshot that is held, or an op that still
 * needs the old value, keeps it.
 */
export class StatesInPlace {
  readonly #states: ReadonlyMap<Pointer, StateHandle>;
  readonly #updates = new Map<Pointer, StateUpdate>();

  constructor(states: Iterable<StateHandle>) {
    this.#states = new Map(Array.from(states, (state) => [state.read.pointer, state]));
  }

  /** The states whose old values these are; null where one is something else, or is updated already. */
  of(values: readonly Output[]): StateHandle[] | null {
    const states = values.map(({ oper }) => this.#states.get(oper));
    const free = states.every((state) => state !== undefined && !this.#updates.has(state.read.pointer));
    return free && new Set(states).size === states.length ? (states as StateHandle[]) : null;
  }

  /** Calls a function of `inputs` and the states' handles, and gives the states' new values. */
  update(
    graph: Graph,
    definition: GraphFunction,
    inputs: readonly (Output & { readonly type: number })[],
    states: readonly StateHandle[],
  ): { call: Operation; values: Output[] } {
    const types = [...inputs.map(({ type }) => type), ...states.map(() => DATA_TYPE.resource)];
    const ats = [...inputs, ...states.map(({ handle }) => handle)];
    // A read that ran later would give the new value for the old one.
    const call = graph.call(
      definition,
      ats,
      types,
      states.map(({ read }) => read),
    );
    const values = states.map(({ handle, read, type }) => {
      const next = graph.add('ReadVariableOp', [handle], { dtype: { type } }, [call]);
      this.#updates.set(read.pointer, { call, next });
      return output(next);
    });
    return { call, values };
  }

  updateOf({ read }: { readonly read: Operation }): StateUpdate | null {
    return this.#updates.get(read.pointer) ?? null;
  }
}
