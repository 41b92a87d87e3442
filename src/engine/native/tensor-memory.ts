import { type CApi, DATA_TYPE, type Pointer } from './c-api.ts';

export type HostArray = Float32Array | Int32Array | Uint8Array | BigUint64Array;

export const dimensions = (shape: readonly number[]): BigInt64Array => BigInt64Array.from(shape, BigInt);

/**
 * A new TF_Tensor with a copy of `data`. The caller deletes it. `type` is a TF_DataType of the data's element size.
 * @throws Error when there is no memory for it, or the data are fewer than the shape has (its array was given away)
 */
export function newTensor(api: CApi, type: number, shape: readonly number[], data: HostArray): Pointer {
  const tensor = api.allocateTensor(type, dimensions(shape), shape.length, data.byteLength);
  if (tensor === null) throw new Error(`no tensor [${shape.join(', ')}] can be made of ${data.byteLength} bytes`);
  api.tensorBytes(tensor).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return tensor;
}

/** As many new tensors as there are of `make`, or none where one fails. The caller deletes them. */
export function newTensors(api: CApi, make: readonly (() => Pointer)[]): Pointer[] {
  const tensors: Pointer[] = [];
  try {
    for (const one of make) tensors.push(one());
    return tensors;
  } catch (error) {
    deleteTensors(api, tensors);
    throw error;
  }
}

export function deleteTensors(api: CApi, tensors: readonly Pointer[]): void {
  for (const tensor of tensors) api.deleteTensor(tensor);
}

/** A float32 or int32 tensor's own memory, valid until it is deleted. */
export function tensorView(api: CApi, tensor: Pointer, dtype: 'float32' | 'int32'): Float32Array | Int32Array {
  const { buffer, byteOffset, byteLength } = api.tensorBytes(tensor);
  return dtype === 'float32'
    ? new Float32Array(buffer, byteOffset, byteLength / 4)
    : new Int32Array(buffer, byteOffset, byteLength / 4);
}

/** A copy of a float32 or int32 tensor's values. */
export function copyTensor(api: CApi, tensor: Pointer, dtype: 'float32' | 'int32'): Float32Array | Int32Array {
  return tensorView(api, tensor, dtype).slice();
}

/** tfjs's dtype of a TF_DataType, where it has one. */
export const dtypeName = (type: number): string =>
  Object.entries(DATA_TYPE).find(([, value]) => value === type)?.[0] ?? `TF_DataType ${type}`;
