import { callProgram } from '../call-program.ts';
import type { TensorSpec, Tensors } from '../engine.ts';
import * as contract from '../program-contract.ts';
import { DATA_TYPE, type Output } from './c-api.ts';
import { type FedInputs, feedInputs } from './fed-inputs.ts';
import { type Graph, type Operation, type OutputShape, output } from './graph.ts';
import type { GraphBackend } from './graph-backend.ts';
import type { OpSites } from './op-sites.ts';
import type { ProgramState } from './program-state.ts';
import { graphRandom } from './random-streams.ts';
import { addOutput, type TracedOutput, type TracedProgram } from './trace.ts';

/** What a function is given from outside. */
type Given = OutputShape & { readonly at: Output };

/**
 * The same as `trace`, as one function that TensorFlow's compiler (XLA) makes of the whole program: few large kernels where a GPU would
 * else wait for a thousand small ones to be begun. Its random numbers are drawn before it: the compiler's own have other bits.
 *
 * State of float32 goes in as variables, which it overwrites where they lie. The rest, small, goes in and out by value: on a GPU
 * TensorFlow keeps variables of int32 in the host's memory, where a compiled function cannot reach them.
 */
export function traceWhole(
  graph: Graph,
  sites: OpSites,
  backend: GraphBackend,
  definition: contract.ProgramSignature,
  { variables, counter }: ProgramState,
  specs: Readonly<Record<string, TensorSpec>>,
): TracedProgram {
  const outputs = new Map<string, TracedOutput>();
  const assigns: Operation[] = [];
  let fed: FedInputs | undefined;
  backend.trace(graph, sites, null, () => {
    fed = feedInputs(graph, backend, definition, specs);
    const states = Object.entries(definition.state).map(([name, { shape, dtype }]) => {
      const { handle, read } = variables.get(name)!;
      const type = DATA_TYPE[dtype];
      return { name, handle, read, shape, type, inside: dtype === 'float32' };
    });
    const given: Given[] = [
      ...[...fed.inputs].map(([name, at]) => ({
        at,
        shape: [...specs[name]!.shape],
        type: DATA_TYPE[specs[name]!.dtype],
      })),
      ...states.map(({ handle, read, shape, type, inside }) =>
        inside ? { at: handle, shape: [], type: DATA_TYPE.resource } : { at: output(read), shape: [...shape], type },
      ),
    ];
    const drawn: Given[] = [];
    const made: { readonly name: string; readonly traced: TracedOutput }[] = [];
    const returned: string[] = [];

    const build = (body: Graph, entries: Output[]): Output[] => {
      const entry = (i: number): Output => entries[i]!;
      const tensors: Tensors = {};
      for (const [i, name] of [...fed!.inputs.keys()].entries())
        tensors[name] = backend.tensor(entry(i), `input "${name}"`, given[i]!.shape, given[i]!.type);
      const old: Tensors = {};
      const reads: Operation[] = [];
      for (const [i, { name, shape, type, inside }] of states.entries()) {
        let at = entry(fed!.inputs.size + i);
        if (inside) {
          const read = body.add('ReadVariableOp', [at], { dtype: { type } });
          reads.push(read);
          at = output(read);
          body.setShape(at, shape);
        }
        old[name] = backend.tensor(at, `state "${name}"`, shape, type);
      }
      const random = graphRandom(graph, definition.seed, counter, (at, shape) => {
        const inner = body.placeholder(DATA_TYPE.float32, shape);
        entries.push(inner);
        drawn.push({ at, shape, type: DATA_TYPE.float32 });
        return backend.tensor(inner, 'random', shape, DATA_TYPE.float32);
      });
      const result = callProgram(definition.fn, old, tensors, random);
      contract.checkResult(definition, result);
      const results = Object.entries(result.outputs).map(([name, tensor]) => {
        const traced = addOutput(body, backend, definition, name, tensor);
        made.push({ name, traced });
        return traced.at;
      });
      for (const [i, { name, type, inside }] of states.entries()) {
        const next = result.state?.[name];
        if (next === undefined) continue;
        if (inside) {
          const handle = entry(fed!.inputs.size + i);
          body.add('AssignVariableOp', [handle, backend.outputOf(next)], { dtype: { type } }, reads);
        } else {
          returned.push(name);
          results.push(output(body.add('Identity', [backend.outputOf(next)])));
        }
      }
      return results;
    };
    const signature = `${definition.name.replace(/\W/g, '_')} whole ${JSON.stringify(specs)}`;
    const whole = graph.function(
      signature,
      given,
      (body, entries) => backend.within(body, () => build(body, entries)),
      {
        products: true,
      },
    );
    const all = [...given, ...drawn];
    const call = graph.call(
      whole,
      all.map(({ at }) => at),
      all.map(({ type }) => type),
    );
    for (const [i, { name, traced }] of made.entries()) outputs.set(name, { ...traced, at: output(call, i) });
    assigns.push(call);
    for (const [i, name] of returned.entries()) {
      const { handle, type } = states.find((state) => state.name === name)!;
      assigns.push(graph.add('AssignVariableOp', [handle, output(call, made.length + i)], { dtype: { type } }));
    }
  });
  return { ...fed!, outputs, assigns };
}
