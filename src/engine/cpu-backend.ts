import * as tf from '@tensorflow/tfjs-core';

/** Else tfjs's plain-JavaScript backend, at its first use, advertises tfjs-node on standard error. */
export function silenceCpuBackend(): void {
  (tf.findBackend('cpu') as unknown as { firstUse: boolean }).firstUse = false;
}

interface CpuBackend {
  makeTensorInfo(shape: number[], dtype: tf.DataType, values: tf.TypedArray): tf.TensorInfo;
  bufferSync(tensor: tf.TensorInfo): { readonly values: tf.TypedArray };
  disposeIntermediateTensorInfo(tensor: tf.TensorInfo): void;
}

let isMended = false;

/** tfjs 4.22's tensorScatterUpdate on this backend writes into the tensor that it is given, and so changes a value that others read. */
export function mendCpuBackend(): void {
  if (isMended) return;
  isMended = true;
  const [kernelName, backendName] = ['TensorScatterUpdate', 'cpu'];
  const { kernelFunc } = tf.getKernel(kernelName, backendName);
  tf.unregisterKernel(kernelName, backendName);
  tf.registerKernel({
    kernelName,
    backendName,
    kernelFunc: (given) => {
      const backend = given.backend as unknown as CpuBackend;
      const tensor = given.inputs['tensor']!;
      const copy = backend.makeTensorInfo(tensor.shape, tensor.dtype, backend.bufferSync(tensor).values.slice());
      const result = kernelFunc({ ...given, inputs: { ...given.inputs, tensor: copy } });
      backend.disposeIntermediateTensorInfo(copy);
      return result;
    },
  });
}
