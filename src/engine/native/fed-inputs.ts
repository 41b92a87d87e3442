import type { TensorSpec, Tensors } from '../engine.ts';
import * as contract from '../program-contract.ts';
import { DATA_TYPE, type Output } from './c-api.ts';
import { type Graph, output } from './graph.ts';
import type { GraphBackend } from './graph-backend.ts';

/** Where a program's inputs go into a graph. By name, as the rest. */
export interface FedInputs {
  readonly inputs: ReadonlyMap<string, Output>;
  /** Where bytes go in that an input can be made of. */
  readonly bytes: ReadonlyMap<string, Output>;
  readonly tensors: Tensors;
}

export function feedInputs(
  graph: Graph,
  backend: GraphBackend,
  definition: contract.ProgramSignature,
  specs: Readonly<Record<string, TensorSpec>>,
): FedInputs {
  const inputs = new Map<string, Output>();
  const bytes = new Map<string, Output>();
  const tensors: Tensors = {};
  for (const [name, spec] of Object.entries(specs)) {
    const { ofBytes } = definition.inputs[name]!;
    if (ofBytes === undefined) {
      const at = graph.placeholder(DATA_TYPE[spec.dtype], spec.shape);
      inputs.set(name, at);
      tensors[name] = backend.tensor(at, `input "${name}"`, spec.shape, DATA_TYPE[spec.dtype]);
      continue;
    }
    // What is made of the bytes can itself be fed, as any tensor of a graph: then they are not asked for.
    const at = graph.placeholder(DATA_TYPE.uint8, spec.shape);
    bytes.set(name, at);
    const types = { SrcT: { type: DATA_TYPE.uint8 }, DstT: { type: DATA_TYPE.int32 } };
    const values = output(graph.add('Cast', [at], types));
    const made = ofBytes(backend.tensor(values, `bytes of input "${name}"`, spec.shape, DATA_TYPE.int32));
    tensors[name] = contract.checkOfBytes(definition, name, spec, made);
    inputs.set(name, backend.outputOf(tensors[name]));
  }
  return { inputs, bytes, tensors };
}
