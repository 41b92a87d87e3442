import * as tf from '@tensorflow/tfjs-core';
import type { DType } from '../engine.ts';
import * as contract from '../program-contract.ts';
import type { Output } from './c-api.ts';
import { type Graph, type Operation, output } from './graph.ts';
import type { GraphBackend } from './graph-backend.ts';

/** Where an output comes out. */
export interface TracedOutput {
  readonly at: Output;
  readonly dtype: DType;
  readonly shape: number[];
}

/** An output of the program's function as what can be fetched. */
export function addOutput(
  graph: Graph,
  backend: GraphBackend,
  definition: contract.ProgramSignature,
  name: string,
  tensor: tf.Tensor,
): TracedOutput & { readonly operation: Operation } {
  const dtype = contract.hostDType(definition, `output "${name}"`, tensor);
  const value = tensor.dtype === 'bool' ? tf.cast(tensor, 'int32') : tensor;
  // Through an Identity: an input or a state tensor may be returned as it is, and one tensor under two names.
  const operation = graph.add('Identity', [backend.outputOf(value)]);
  return { at: output(operation), dtype, shape: [...tensor.shape], operation };
}
