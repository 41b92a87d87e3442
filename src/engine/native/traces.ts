import { hasOpenSizes } from '../input-shapes.ts';
import * as contract from '../program-contract.ts';
import type { Graph } from './graph.ts';
import { GraphBackend } from './graph-backend.ts';
import { OpSites } from './op-sites.ts';
import { addState, type ProgramState } from './program-state.ts';
import { RunPlan } from './session.ts';
import { type TracedProgram, trace } from './trace.ts';
import { traceWhole } from './trace-whole.ts';

/** The program's function for inputs of one shape. */
export interface Traced extends TracedProgram {
  /** By the inputs that are fed as bytes. */
  readonly plans: Map<string, RunPlan>;
  /** Compiled as one function, not op by op. */
  readonly isWhole: boolean;
}

/** A program's function, traced once for each shape of its inputs: all in one graph, over one state. */
export class Traces {
  readonly state: ProgramState;
  /** Which code made which op. */
  readonly sites = new OpSites();
  readonly #graph: Graph;
  readonly #definition: contract.ProgramSignature;
  /** By the shapes of the inputs in words: one, unless the definition leaves sizes open. */
  readonly #traced = new Map<string, Traced>();
  /** No other trace will share the state, and what readers of it are given was not settled before. */
  readonly #isOnlyTrace: boolean;
  readonly #isWhole: boolean;
  #seconds = 0;

  /** Traces at once where no size is left open: op by op, or as one function. @throws what the function throws */
  constructor(graph: Graph, definition: contract.ProgramSignature, isWhole: boolean) {
    this.#isWhole = isWhole;
    this.#graph = graph;
    this.#definition = definition;
    const isOpen = hasOpenSizes(definition.inputs);
    this.#isOnlyTrace = !isOpen && !isWhole;
    this.state = addState(graph, definition.state);
    if (!isOpen) this.#trace(definition.inputs as contract.Fed['specs'], isWhole);
  }

  /** That tracing has taken so far. */
  get seconds(): number {
    return this.#seconds;
  }

  /**
   * For inputs of these shapes. Between two runs: the graph of a session may grow, but not while it runs (TF_SessionRun tells the
   * session of what is new).
   */
  of({ specs }: contract.Fed): Traced {
    return this.#of(specs, this.#isWhole);
  }

  /** What a run feeds, in the order of the inputs and last the counter, and what it fetches: the outputs, in theirs. */
  plan({ inputs, bytes, outputs, assigns, plans }: Traced, { data }: contract.Fed): RunPlan {
    const names = [...inputs.keys()].filter((name) => data[name] instanceof Uint8Array);
    const known = plans.get(names.join());
    if (known !== undefined) return known;
    const feeds = [...inputs].map(([name, at]) => (names.includes(name) ? bytes.get(name)! : at));
    const fetches = [...outputs.values()].map(({ at }) => at);
    const plan = new RunPlan([...feeds, this.state.counter], fetches, assigns);
    plans.set(names.join(), plan);
    return plan;
  }

  /** For inputs of these shapes op by op from here on, since the compiler cannot make one function of it. */
  opByOp({ specs }: contract.Fed): Traced {
    this.#traced.delete(shapesOf(specs));
    return this.#of(specs, false);
  }

  #of(specs: contract.Fed['specs'], isWhole: boolean): Traced {
    const shapes = shapesOf(specs);
    try {
      return this.#traced.get(shapes) ?? this.#trace(specs, isWhole);
    } catch (error) {
      throw contract.engineFailure(this.#definition, `while it was compiled for ${shapes}`, error);
    }
  }

  #trace(specs: contract.Fed['specs'], isWhole: boolean): Traced {
    const start = performance.now();
    const [graph, definition, backend] = [this.#graph, this.#definition, GraphBackend.get()];
    const tracing = { graph, sites: this.sites, backend, definition, state: this.state, specs };
    const made = isWhole ? traceWhole(tracing) : trace(tracing, this.#isOnlyTrace);
    const traced = { ...made, plans: new Map(), isWhole };
    this.#traced.set(shapesOf(specs), traced);
    this.#seconds += (performance.now() - start) / 1000;
    return traced;
  }
}

const shapesOf = (specs: contract.Fed['specs']): string =>
  Object.entries(specs)
    .map(([name, { shape }]) => `${name} [${shape.join(', ')}]`)
    .join(', ');

/** Whether the compiler (XLA) said that it cannot compile a function: an op that it lacks, or a shape that depends on values. */
export const isNotForCompiler = (error: unknown): boolean =>
  /unsupported operations when trying to compile|must be a compile-time constant/i.test(String(error));
