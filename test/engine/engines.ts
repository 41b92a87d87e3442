import type { Tensor } from '@tensorflow/tfjs-core';
import { openCpuEngine, openWasmEngine } from '../../src/engine/eager/eager-engine.ts';
import type { Engine, HostTensor, HostTensors, Tensors } from '../../src/engine/engine.ts';
import { openNativeEngine } from '../../src/engine/native/native-engine.ts';
import { normals } from '../../src/random/philox.ts';

export { runOnce } from '../../src/engine/run-once.ts';

/** The three real engines. The native one must be there: `npm test` sets it up, and nothing here is skipped. */
export const OPEN: Record<Engine['name'], () => Promise<Engine>> = {
  native: () => openNativeEngine(),
  wasm: openWasmEngine,
  cpu: openCpuEngine,
};

/** The native one as it is on a GPU, on the CPU: whole programs are compiled (src/engine/native/trace-whole.ts). */
export const openWhole = (): Promise<Engine> => openNativeEngine('cpu', undefined, undefined, undefined, 'programs');

export const float = (shape: number[], data: Iterable<number>): HostTensor => ({
  shape,
  dtype: 'float32',
  data: Float32Array.from(data),
});

export const int = (shape: number[], data: Iterable<number>): HostTensor => ({
  shape,
  dtype: 'int32',
  data: Int32Array.from(data),
});

/** Standard normal values, the same in every test that names them the same. */
export const gaussian = (name: string, shape: number[]): HostTensor =>
  float(
    shape,
    normals(
      0,
      name,
      0,
      shape.reduce((a, b) => a * b, 1),
    ),
  );

/** The largest difference, relative to the larger of the two values and 1. Infinite when one is not finite. */
export function difference(a: HostTensor, b: HostTensor): number {
  if (String(a.shape) !== String(b.shape) || a.dtype !== b.dtype) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (const [i, x] of a.data.entries()) {
    const y = b.data[i]!;
    if (Object.is(x, y)) continue;
    const apart = Math.abs(x - y) / Math.max(1, Math.abs(x), Math.abs(y));
    worst = Math.max(worst, Number.isNaN(apart) ? Number.POSITIVE_INFINITY : apart);
  }
  return worst;
}

export const bytesOf = (tensors: HostTensors): Buffer =>
  Buffer.concat(Object.values(tensors).map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)));

export type Fn = (inputs: Tensors) => Tensor;
