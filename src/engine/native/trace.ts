import * as tf from '@tensorflow/tfjs-core';
import { philoxKey } from '../../random/philox.ts';
import { callProgram } from '../call-program.ts';
import type { DType, Random, TensorSpec, Tensors } from '../engine.ts';
import * as contract from '../program-contract.ts';
import { DATA_TYPE, type Output } from './c-api.ts';
import { type Graph, type Operation, output } from './graph.ts';
import type { GraphBackend } from './graph-backend.ts';
import type { OpSites } from './op-sites.ts';
import { isScatter, rowsWritten, type WrittenRows, writeInPlace } from './rows-in-place.ts';
import { StatesInPlace } from './states-in-place.ts';

/** A state tensor in the graph: a resource variable, and how to read and to overwrite it. */
export interface Variable {
  readonly handle: Output;
  readonly read: Operation;
  /** What a reader may keep while steps go on: a copy where they write rows into it. */
  readonly value: Output;
  readonly written: Output;
  readonly write: Operation;
}

/** What all traces of a program share. */
export interface ProgramState {
  /** By name. One that a trace writes rows into has another `value` after it. */
  readonly variables: Map<string, Variable>;
  /** uint64 [2]: what the counters of all random streams start from. */
  readonly counter: Output;
}

/** A program's function as a graph, for inputs of one shape. Everything in it belongs to the graph. */
export interface TracedProgram {
  readonly inputs: ReadonlyMap<string, Output>;
  /** Where bytes go in that an input can be made of. */
  readonly bytes: ReadonlyMap<string, Output>;
  readonly outputs: ReadonlyMap<string, { readonly at: Output; readonly dtype: DType; readonly shape: number[] }>;
  /** Assigns the new state, or writes it into the old one. Each waits until the old value is read. */
  readonly assigns: readonly Operation[];
}

/** RNG_ALG_PHILOX (tensorflow/core/framework/rng_alg.h). */
const PHILOX = 1;

export function addState(graph: Graph, specs: Readonly<Record<string, TensorSpec>>): ProgramState {
  const variables = Object.entries(specs).map(
    ([name, { shape, dtype }]) => [name, addVariable(graph, name, shape, DATA_TYPE[dtype])] as const,
  );
  return { variables: new Map(variables), counter: graph.placeholder(DATA_TYPE.uint64, [2]) };
}

/**
 * Calls the program's function once, for inputs of these shapes, and keeps what it did as a graph, and in `sites` which code did
 * it. `onlyTrace`: no other will share the state, so that rows may be written into it where they lie.
 */
export function trace(
  graph: Graph,
  sites: OpSites,
  backend: GraphBackend,
  definition: contract.ProgramSignature,
  { variables, counter }: ProgramState,
  specs: Readonly<Record<string, TensorSpec>>,
  onlyTrace: boolean,
): TracedProgram {
  const inputs = new Map<string, Output>();
  const bytes = new Map<string, Output>();
  const outputs = new Map<string, { at: Output; dtype: DType; shape: number[] }>();
  const assigns = new Set<Operation>();
  const ends: Operation[] = [];

  const inPlace = new StatesInPlace(
    [...variables].map(([name, variable]) => ({ ...variable, type: DATA_TYPE[definition.state[name]!.dtype] })),
  );
  backend.trace(graph, sites, inPlace, () => {
    const state: Tensors = {};
    for (const [name, spec] of Object.entries(definition.state)) {
      state[name] = backend.tensor(
        output(variables.get(name)!.read),
        `state "${name}"`,
        spec.shape,
        DATA_TYPE[spec.dtype],
      );
    }
    const fed: Tensors = {};
    for (const [name, spec] of Object.entries(specs)) {
      const { ofBytes } = definition.inputs[name]!;
      if (ofBytes === undefined) {
        inputs.set(name, graph.placeholder(DATA_TYPE[spec.dtype], spec.shape));
        fed[name] = backend.tensor(inputs.get(name)!, `input "${name}"`, spec.shape, DATA_TYPE[spec.dtype]);
        continue;
      }
      // What is made of the bytes can itself be fed, as any tensor of a graph: then they are not asked for.
      bytes.set(name, graph.placeholder(DATA_TYPE.uint8, spec.shape));
      const types = { SrcT: { type: DATA_TYPE.uint8 }, DstT: { type: DATA_TYPE.int32 } };
      const values = output(graph.add('Cast', [bytes.get(name)!], types));
      const made = ofBytes(backend.tensor(values, `bytes of input "${name}"`, spec.shape, DATA_TYPE.int32));
      fed[name] = contract.checkOfBytes(definition, name, spec, made);
      inputs.set(name, backend.outputOf(fed[name]));
    }
    const random = graphRandom(graph, backend, definition.seed, counter);
    const result = callProgram(definition.fn, state, fed, random);
    contract.checkResult(definition, result);

    for (const [name, tensor] of Object.entries(result.outputs)) {
      const dtype = contract.hostDType(definition, `output "${name}"`, tensor);
      const value = tensor.dtype === 'bool' ? tf.cast(tensor, 'int32') : tensor;
      // Through an Identity: an input or a state tensor may be returned as it is, and one tensor under two names.
      const identity = graph.add('Identity', [backend.outputOf(value)]);
      const at = output(identity);
      outputs.set(name, { at, dtype, shape: [...tensor.shape] });
      ends.push(identity);
    }
    const returned = Object.entries(result.state ?? {}).map(
      ([name, tensor]) => [name, backend.outputOf(tensor)] as const,
    );
    const next = returned.filter(([name, value]) => {
      const update = inPlace.updateOf(variables.get(name)!);
      if (update?.next.pointer !== value.oper) return true;
      assigns.add(update.call);
      return false;
    });
    // The function may have updated a state and return the old one for it, by its name or by not naming it.
    for (const [name, variable] of variables)
      if (inPlace.updateOf(variable) && result.state?.[name] === undefined) next.push([name, output(variable.read)]);
    // Rows are written in place only where nobody keeps the old ones: those who might come first.
    const whole = next.filter(([, value]) => !isScatter(graph, value));
    const scattered = next.filter(([, value]) => isScatter(graph, value));
    const written: WrittenRows[] = [];
    for (const [name, value] of [...whole, ...scattered]) {
      const variable = variables.get(name)!;
      const update = inPlace.updateOf(variable);
      // Another trace could keep in one state what this one overwrites in another; and one that is updated is not what was read.
      const rows = onlyTrace && update === null ? rowsWritten(graph, value, variable.read) : null;
      if (rows === null) {
        const type = { type: DATA_TYPE[definition.state[name]!.dtype] };
        // Of a state that was updated where it lies all others shall have seen that, too, before it is given another value.
        const after = update === null ? [variable.read] : [update.call, update.next];
        assigns.add(graph.add('AssignVariableOp', [variable.handle, value], { dtype: type }, after));
      } else {
        written.push(rows);
        variables.set(name, { ...variable, value: output(graph.add('DeepCopy', [output(variable.read)])) });
      }
    }
    for (const write of writeInPlace(graph, written, [...assigns, ...ends])) assigns.add(write);
  });
  return { inputs, bytes, outputs, assigns: [...assigns] };
}

function addVariable(graph: Graph, name: string, shape: readonly number[], type: number): Variable {
  const handle = output(
    graph.add('VarHandleOp', [], { dtype: { type }, shape: { shape }, shared_name: { string: name } }),
  );
  const written = graph.placeholder(type, shape);
  const read = graph.add('ReadVariableOp', [handle], { dtype: { type } });
  return {
    handle,
    read,
    value: output(read),
    written,
    write: graph.add('AssignVariableOp', [handle, written], { dtype: { type } }),
  };
}

/** The streams of src/random/philox.ts, drawn by the graph itself. */
function graphRandom(graph: Graph, backend: GraphBackend, seed: number, counter: Output): Random {
  const algorithm = graph.constant(DATA_TYPE.int32, [], Int32Array.of(PHILOX));
  const draw = (operation: string, purpose: string, shape: number[]): tf.Tensor => {
    const key = graph.constant(DATA_TYPE.uint64, [1], BigUint64Array.of(philoxKey(seed, purpose)));
    const size = graph.constant(DATA_TYPE.int32, [shape.length], Int32Array.from(shape));
    const drawn = graph.add(operation, [size, key, counter, algorithm], { dtype: { type: DATA_TYPE.float32 } });
    return backend.tensor(output(drawn), operation, shape, DATA_TYPE.float32);
  };
  return {
    uniform: (purpose, shape) => draw('StatelessRandomUniformV2', purpose, shape),
    normal: (purpose, shape) => draw('StatelessRandomNormalV2', purpose, shape),
  };
}
