import * as tf from '@tensorflow/tfjs-core';

type Given = Parameters<tf.KernelFunc>[0];
type Mend = (given: Given, own: tf.KernelFunc) => ReturnType<tf.KernelFunc>;

const mended = new Set<string>();

/** What a reduction gives of no elements, as TensorFlow has it. */
const OF_NOTHING = { Sum: 0, Prod: 1, Mean: Number.NaN, Max: -Infinity, Min: Infinity, All: 1, Any: 0 };

/** Kernels of tfjs 4.22's own backends that give wrong numbers without a word. */
export function mendKernels(backendName: 'cpu' | 'wasm'): void {
  if (mended.has(backendName)) return;
  mended.add(backendName);
  const mends: Record<string, Mend> = {
    BatchMatMul: ofBroadcastBatches,
    ...Object.fromEntries(Object.entries(OF_NOTHING).map(([name, value]) => [name, ofNothing(value)])),
    Cumsum: alongCountedAxis,
    Cumprod: alongCountedAxis,
  };
  if (backendName === 'cpu') mends['TensorScatterUpdate'] = intoCopy;
  for (const [kernelName, mend] of Object.entries(mends)) {
    const config = tf.getKernel(kernelName, backendName);
    tf.unregisterKernel(kernelName, backendName);
    // With all else of it: a kernel of WebAssembly has to be set up before its first use.
    tf.registerKernel({ ...config, kernelFunc: (given) => mend(given, config.kernelFunc) });
  }
}

/** They pair the batches of [2, 1] and [1, 5] one by one. */
const ofBroadcastBatches: Mend = (given, own) => {
  const [a, b] = [given.inputs['a'] as tf.Tensor, given.inputs['b'] as tf.Tensor];
  const [ofA, ofB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const single = (shape: number[]) => shape.every((size) => size === 1);
  if (String(ofA) === String(ofB) || single(ofA) || single(ofB)) return own(given);
  const batches = tf.broadcast_util.assertAndGetBroadcastShape(ofA, ofB);
  return tf.tidy(() => {
    const whole = (tensor: tf.Tensor) => tf.broadcastTo(tensor, [...batches, ...tensor.shape.slice(-2)]);
    return own({ ...given, inputs: { a: whole(a), b: whole(b) } }) as tf.Tensor;
  });
};

/** Of no elements one gives what its memory held before, the other now and then another number. */
const ofNothing =
  (value: number): Mend =>
  (given, own) => {
    const x = given.inputs['x'] as tf.Tensor;
    if (x.size > 0) return own(given);
    const { axis, reductionIndices, keepDims } = given.attrs as unknown as Record<
      'axis' | 'reductionIndices',
      number[]
    > & {
      readonly keepDims: boolean;
    };
    const axes = tf.util.parseAxisParam(axis ?? reductionIndices, x.shape);
    const shape = x.shape.flatMap((size, i) => (axes.includes(i) ? (keepDims ? [1] : []) : [size]));
    return tf.fill(shape, value, x.dtype as 'float32');
  };

/** Of an axis that is counted from the end (-1) one gives zeros, and the other writes outside of its memory. */
const alongCountedAxis: Mend = (given, own) => {
  const { axis } = given.attrs as unknown as { axis: number };
  const rank = given.inputs['x']!.shape.length;
  return own({ ...given, attrs: { ...given.attrs, axis: axis < 0 ? axis + rank : axis } });
};

interface CpuBackend {
  makeTensorInfo(shape: number[], dtype: tf.DataType, values: tf.TypedArray): tf.TensorInfo;
  bufferSync(tensor: tf.TensorInfo): { readonly values: tf.TypedArray };
  disposeIntermediateTensorInfo(tensor: tf.TensorInfo): void;
}

/** It writes into the tensor that it is given, and so changes a value that others read. */
const intoCopy: Mend = (given, own) => {
  const backend = given.backend as unknown as CpuBackend;
  const tensor = given.inputs['tensor']!;
  const copy = backend.makeTensorInfo(tensor.shape, tensor.dtype, backend.bufferSync(tensor).values.slice());
  const result = own({ ...given, inputs: { ...given.inputs, tensor: copy } });
  backend.disposeIntermediateTensorInfo(copy);
  return result;
};
