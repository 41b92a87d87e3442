import { callProgram } from '../call-program.ts';
import type { TensorSpec, Tensors } from '../engine.ts';
import * as contract from '../program-contract.ts';
import { DATA_TYPE, type Output } from './c-api.ts';
import { type FedInputs, feedInputs } from './fed-inputs.ts';
import { type Operation, type OutputShape, output } from './graph.ts';
import { graphRandom } from './random-streams.ts';
import type { TracedProgram, Tracing } from './trace.ts';
import { addOutput, type TracedOutput } from './traced-output.ts';

/** What a function is given from outside. */
type Given = OutputShape & { readonly at: Output };

/**
 * The same as `trace`, as one function that TensorFlow's compiler (XLA) makes of the whole program: few large kernels where a GPU would
 * else wait for a thousand small ones to be begun. Its random numbers are drawn before it: the compiler's own have other bits.
 *
 * State of float32 goes in as variables, which it overwrites where they lie. The rest, small, goes in and out by value: on a GPU
 * TensorFlow keeps variables of int32 in the host's memory, where a compiled function cannot reach them.
 */
export function traceWhole({
  graph,
  sites,
  backend,
  definition,
  state: { variables, counter },
  specs,
}: Tracing): TracedProgram {
  const outputs = new Map<string, TracedOutput>();
  const assigns: Operation[] = [];
  let fed: FedInputs | undefined;
  backend.trace(graph, sites, null, () => {
    fed = feedInputs(graph, backend, definition, specs);
    const inputs = [...fed.inputs].map(([name, at]) => ({ name, at, ...shapeOf(specs[name]!) }));
    const states = Object.entries(definition.state).map(([name, spec]) => {
      const { handle, read } = variables.get(name)!;
      return { name, handle, read, ...shapeOf(spec), isVariable: spec.dtype === 'float32' };
    });
    const given: Given[] = [
      ...inputs,
      ...states.map(({ handle, read, shape, type, isVariable }) =>
        isVariable ? { at: handle, shape: [], type: DATA_TYPE.resource } : { at: output(read), shape, type },
      ),
    ];
    /** What comes out: first the outputs, then the next values of `assigned`. */
    const named: (readonly [string, TracedOutput])[] = [];
    const assigned: { readonly handle: Output; readonly type: number }[] = [];

    const whole = graph.newFunction(given, (body, entries) =>
      backend.within(body, () => {
        const [fedIn, held] = [entries.slice(0, inputs.length), entries.slice(inputs.length)];
        const tensors: Tensors = {};
        for (const [i, { name, shape, type }] of inputs.entries())
          tensors[name] = backend.tensor(fedIn[i]!, `input "${name}"`, shape, type);
        const reads = states.map(({ type, shape, isVariable }, i) => {
          if (!isVariable) return null;
          const read = body.add('ReadVariableOp', [held[i]!], { dtype: { type } });
          body.setShape(output(read), shape);
          return read;
        });
        const old: Tensors = {};
        for (const [i, { name, shape, type }] of states.entries()) {
          const read = reads[i];
          old[name] = backend.tensor(read ? output(read) : held[i]!, `state "${name}"`, shape, type);
        }
        const random = graphRandom(graph, definition.seed, counter, (at, by, shape) => {
          const drawn = body.placeholder(DATA_TYPE.float32, shape);
          entries.push(drawn);
          given.push({ at, shape, type: DATA_TYPE.float32 });
          return backend.tensor(drawn, by, shape, DATA_TYPE.float32);
        });
        const result = callProgram(definition.fn, old, tensors, random);
        contract.checkResult(definition, result);
        for (const [name, tensor] of Object.entries(result.outputs))
          named.push([name, addOutput(body, backend, definition, name, tensor)]);
        const values: Output[] = [];
        for (const [i, { name, handle, type, isVariable }] of states.entries()) {
          const tensor = result.state?.[name];
          if (tensor === undefined) continue;
          const next = backend.outputOf(tensor);
          if (isVariable) {
            const after = reads.filter((read) => read !== null);
            body.add('AssignVariableOp', [held[i]!, next], { dtype: { type } }, after);
          } else {
            assigned.push({ handle, type });
            values.push(output(body.add('Identity', [next])));
          }
        }
        return [...named.map(([, { at }]) => at), ...values];
      }),
    );
    const call = graph.call(
      whole,
      given.map(({ at }) => at),
      given.map(({ type }) => type),
    );
    assigns.push(call);
    for (const [i, [name, traced]] of named.entries()) outputs.set(name, { ...traced, at: output(call, i) });
    for (const [i, { handle, type }] of assigned.entries()) {
      const next = output(call, named.length + i);
      assigns.push(graph.add('AssignVariableOp', [handle, next], { dtype: { type } }));
    }
  });
  return { inputs: fed!.inputs, bytes: fed!.bytes, outputs, assigns };
}

const shapeOf = ({ shape, dtype }: TensorSpec): OutputShape => ({ shape: [...shape], type: DATA_TYPE[dtype] });
