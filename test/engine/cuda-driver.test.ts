import { describe, expect, it } from 'vitest';
import { type BoundLibrary, cudaDevice } from '../../src/engine/native/cuda-driver.ts';

/** The driver's functions as cuda.h has them: each gives a CUresult and writes what it found where it is told to. */
function driver(facts: { version?: number; init?: number; name?: string }): BoundLibrary {
  const { version = 12_040, init = 0, name = 'NVIDIA H100 80GB HBM3' } = facts;
  const functions: Record<string, (...args: unknown[]) => number> = {
    cuInit: () => init,
    cuGetErrorName(code, text) {
      if (code === 100) (text as string[])[0] = 'CUDA_ERROR_NO_DEVICE';
      return 0;
    },
    cuDriverGetVersion(value) {
      (value as Int32Array)[0] = version;
      return 0;
    },
    cuDeviceGet(device, ordinal) {
      (device as Int32Array)[0] = ordinal as number;
      return 0;
    },
    cuDeviceGetName(buffer, length) {
      (buffer as Buffer).fill(0xff).write(`${name.slice(0, (length as number) - 1)}\0`);
      return 0;
    },
    cuDeviceGetAttribute(value, which) {
      (value as Int32Array)[0] = which === 75 ? 9 : 0;
      return 0;
    },
  };
  return { func: (declaration) => functions[/(\w+)\(/.exec(declaration)![1]!]! };
}

describe('the CUDA driver', () => {
  it('names its device, what that is compiled for, and the newest CUDA it runs', () => {
    expect(cudaDevice(() => driver({}))).toEqual({
      name: 'NVIDIA H100 80GB HBM3',
      capability: '9.0',
      driver: '12.4',
    });
  });

  it('too old for CUDA 12 is refused by its version', () => {
    expect(() => cudaDevice(() => driver({ version: 11_080 }))).toThrow(
      /driver is for CUDA 11\.8, and CUDA 12 is needed/,
    );
  });

  it.each([
    [100, /finds no GPU to use: cuInit gives CUDA_ERROR_NO_DEVICE \(100\)/],
    [803, /finds no GPU to use: cuInit gives error 803/],
  ])('without a device (%i) says what the driver says', (init, words) => {
    expect(() => cudaDevice(() => driver({ init }))).toThrow(words);
  });

  it('that is not there is named by its library', () => {
    const missing = () => {
      throw new Error('cannot open shared object file');
    };
    expect(() => cudaDevice(missing)).toThrow(
      /^libcuda\.so\.1, the NVIDIA driver's library, does not load: cannot open/,
    );
  });
});
