import * as tf from '@tensorflow/tfjs-core';
import type { NodeKernelBackend } from './graph-backend.ts';
import { ATTRIBUTE } from './lazy-binding.ts';

/** Kernels that take the place of tfjs-node's, which were made for running op by op. */
export function replaceKernels(backendName: string): void {
  for (const [kernelName, kernelFunc] of Object.entries({
    GatherV2: gather,
    BatchMatMul: matMul,
    Mean: mean,
    Softmax: softmax,
  })) {
    tf.unregisterKernel(kernelName, backendName);
    tf.registerKernel({ kernelName, backendName, kernelFunc });
  }
}

/** tfjs-node's reads the indices to check their range, and in a graph they have no values yet: TensorFlow checks them. */
const gather: tf.KernelFunc = ({ inputs, attrs, backend }) => {
  const { axis, batchDims } = attrs as unknown as { axis: number; batchDims?: number };
  const attributes = [{ name: 'batch_dims', type: ATTRIBUTE.int, value: batchDims ?? 0 }];
  return tf.tidy(() => {
    const operands = [inputs['x']!, inputs['indices']!, tf.scalar(axis, 'int32')];
    return (backend as NodeKernelBackend).executeSingleOutput('GatherV2', attributes, operands);
  });
};

/**
 * tfjs has but one product, that of batches, and reshapes two matrices to batches of one. For those TensorFlow's MatMul
 * takes half the time of its BatchMatMulV2 at the sizes of a small transformer, and adds a bias on the way.
 */
const matMul: tf.KernelFunc = ({ inputs, attrs, backend }) => {
  const { transposeA, transposeB } = attrs as unknown as { transposeA: boolean; transposeB: boolean };
  const a = inputs['a'] as tf.Tensor;
  const b = inputs['b'] as tf.Tensor;
  const graph = backend as NodeKernelBackend;
  const attributes = (first: string, second: string) => [
    { name: first, type: ATTRIBUTE.bool, value: transposeA },
    { name: second, type: ATTRIBUTE.bool, value: transposeB },
  ];
  const batches = [...a.shape.slice(0, -2), ...b.shape.slice(0, -2)];
  if (batches.some((size) => size !== 1)) {
    return graph.executeSingleOutput('BatchMatMulV2', attributes('adj_x', 'adj_y'), [a, b]);
  }
  return tf.tidy(() => {
    const matrices = [a, b].map((tensor) => tf.reshape(tensor, tensor.shape.slice(-2)));
    const product = graph.executeSingleOutput('MatMul', attributes('transpose_a', 'transpose_b'), matrices);
    return tf.reshape(product, [...Array(Math.max(a.rank, b.rank) - 2).fill(1), ...product.shape]);
  });
};

/** tfjs-node's says int32 of what it casts to float32. */
const mean: tf.KernelFunc = ({ inputs, attrs, backend }) => {
  const { axis, keepDims } = attrs as unknown as { axis: number | number[]; keepDims: boolean };
  const x = inputs['x'] as tf.Tensor;
  const attributes = [{ name: 'keep_dims', type: ATTRIBUTE.bool, value: keepDims }];
  return tf.tidy(() => {
    const axes = tf.tensor1d(tf.util.parseAxisParam(axis, x.shape), 'int32');
    return (backend as NodeKernelBackend).executeSingleOutput('Mean', attributes, [tf.cast(x, 'float32'), axes]);
  });
};

/** oneDNN's softmax takes five axes at most. */
const MOST_SOFTMAX_AXES = 5;

const softmax: tf.KernelFunc = ({ inputs, backend }) => {
  const logits = inputs['logits'] as tf.Tensor;
  const graph = backend as NodeKernelBackend;
  if (logits.rank <= MOST_SOFTMAX_AXES) return graph.executeSingleOutput('Softmax', [], [logits]);
  return tf.tidy(() => {
    const rows = tf.reshape(logits, [-1, logits.shape.at(-1)!]);
    return tf.reshape(graph.executeSingleOutput('Softmax', [], [rows]), logits.shape);
  });
};
