import * as tf from '@tensorflow/tfjs-core';
import { SUM_OF_SQUARES } from '../sum-of-squares.ts';
import { DATA_TYPE } from './c-api.ts';
import type { NodeKernelBackend } from './graph-backend.ts';
import { ATTRIBUTE } from './lazy-binding.ts';

/** Kernels that tfjs-node lacks and TensorFlow has. */
export function addKernels(backendName: string): void {
  const added = {
    BitwiseAnd,
    DenseBincount,
    SearchSorted,
    MaxPoolWithArgmax,
    Transform,
    [SUM_OF_SQUARES]: SumOfSquares,
  };
  for (const [kernelName, kernelFunc] of Object.entries(added))
    tf.registerKernel({ kernelName, backendName, kernelFunc });
}

const on = (backend: unknown): NodeKernelBackend => backend as NodeKernelBackend;

const BitwiseAnd: tf.KernelFunc = ({ inputs, backend }) =>
  on(backend).executeSingleOutput('BitwiseAnd', [], [inputs['a']!, inputs['b']!]);

const DenseBincount: tf.KernelFunc = ({ inputs, attrs, backend }) => {
  const { size, binaryOutput } = attrs as unknown as { size: number; binaryOutput?: boolean };
  const attributes = [{ name: 'binary_output', type: ATTRIBUTE.bool, value: binaryOutput ?? false }];
  return tf.tidy(() => {
    const operands = [inputs['x']!, tf.scalar(size, 'int32'), inputs['weights']!];
    return on(backend).executeSingleOutput('DenseBincount', attributes, operands);
  });
};

const SearchSorted: tf.KernelFunc = ({ inputs, attrs, backend }) => {
  const { side } = attrs as unknown as { side: 'left' | 'right' };
  const operands = [inputs['sortedSequence']!, inputs['values']!];
  return on(backend).executeSingleOutput(side === 'left' ? 'LowerBound' : 'UpperBound', [], operands);
};

const MaxPoolWithArgmax: tf.KernelFunc = ({ inputs, attrs, backend }) => {
  const { filterSize, strides, pad, includeBatchInIndex } = attrs as unknown as {
    filterSize: number | [number, number];
    strides: number | [number, number];
    pad: string;
    includeBatchInIndex: boolean;
  };
  const square = (size: number | [number, number]) => (typeof size === 'number' ? [size, size] : size);
  const attributes = [
    { name: 'ksize', type: ATTRIBUTE.int, value: [1, ...square(filterSize), 1] },
    { name: 'strides', type: ATTRIBUTE.int, value: [1, ...square(strides), 1] },
    { name: 'padding', type: ATTRIBUTE.string, value: String(pad).toUpperCase() },
    { name: 'include_batch_in_index', type: ATTRIBUTE.bool, value: includeBatchInIndex },
    { name: 'Targmax', type: ATTRIBUTE.type, value: DATA_TYPE.int32 },
  ];
  return on(backend).executeMultipleOutputs('MaxPoolWithArgmax', attributes, [inputs['x']!], 2);
};

const Transform: tf.KernelFunc = ({ inputs, attrs, backend }) => {
  const { interpolation, fillMode, fillValue, outputShape } = attrs as unknown as {
    interpolation: string;
    fillMode: string;
    fillValue: number;
    outputShape?: [number, number];
  };
  const image = inputs['image']!;
  const attributes = [
    { name: 'interpolation', type: ATTRIBUTE.string, value: interpolation.toUpperCase() },
    { name: 'fill_mode', type: ATTRIBUTE.string, value: fillMode.toUpperCase() },
  ];
  return tf.tidy(() => {
    const size = tf.tensor1d(outputShape ?? [image.shape[1]!, image.shape[2]!], 'int32');
    const operands = [image, inputs['transforms']!, size, tf.scalar(fillValue)];
    return on(backend).executeSingleOutput('ImageProjectiveTransformV3', attributes, operands);
  });
};

/** L2Loss is half of it, to the bit. */
const SumOfSquares: tf.KernelFunc = ({ inputs, backend }) =>
  tf.tidy(() => tf.mul(on(backend).executeSingleOutput('L2Loss', [], [inputs['x']!]), 2));
