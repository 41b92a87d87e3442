import { callProgram } from '../call-program.ts';
import type { TensorSpec, Tensors } from '../engine.ts';
import * as contract from '../program-contract.ts';
import { DATA_TYPE } from './c-api.ts';
import { type FedInputs, feedInputs } from './fed-inputs.ts';
import { type Graph, type Operation, output } from './graph.ts';
import type { GraphBackend } from './graph-backend.ts';
import type { OpSites } from './op-sites.ts';
import type { ProgramState } from './program-state.ts';
import { graphRandom } from './random-streams.ts';
import { isScatter, rowsWritten, type WrittenRows, writeInPlace } from './rows-in-place.ts';
import { StatesInPlace } from './states-in-place.ts';
import { addOutput, type TracedOutput } from './traced-output.ts';

/** A program's function, to be traced into a graph for inputs of one shape. */
export interface Tracing {
  readonly graph: Graph;
  readonly sites: OpSites;
  readonly backend: GraphBackend;
  readonly definition: contract.ProgramSignature;
  readonly state: ProgramState;
  readonly specs: Readonly<Record<string, TensorSpec>>;
}

/** A program's function as a graph, for inputs of one shape. Everything in it belongs to the graph. */
export interface TracedProgram extends Pick<FedInputs, 'inputs' | 'bytes'> {
  readonly outputs: ReadonlyMap<string, TracedOutput>;
  /** Assigns the new state, or writes it into the old one. Each waits until the old value is read. */
  readonly assigns: readonly Operation[];
}

/**
 * Calls the program's function once, for inputs of these shapes, and keeps what it did as a graph, and in `sites` which code did
 * it. `onlyTrace`: no other will share the state, so that rows may be written into it where they lie.
 */
export function trace(
  { graph, sites, backend, definition, state: { variables, counter }, specs }: Tracing,
  onlyTrace: boolean,
): TracedProgram {
  let fed: FedInputs | undefined;
  const outputs = new Map<string, TracedOutput>();
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
    fed = feedInputs(graph, backend, definition, specs);
    const random = graphRandom(graph, definition.seed, counter, (drawn, by, shape) =>
      backend.tensor(drawn, by, shape, DATA_TYPE.float32),
    );
    const result = callProgram(definition.fn, state, fed.tensors, random);
    contract.checkResult(definition, result);

    for (const [name, tensor] of Object.entries(result.outputs)) {
      const { operation, ...traced } = addOutput(graph, backend, definition, name, tensor);
      outputs.set(name, traced);
      ends.push(operation);
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
    // TensorFlow runs no session that is asked for nothing.
    if (assigns.size === 0 && outputs.size === 0) assigns.add(graph.add('NoOp', []));
  });
  return { inputs: fed!.inputs, bytes: fed!.bytes, outputs, assigns: [...assigns] };
}
