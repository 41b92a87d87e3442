import { expect, test } from 'vitest';
import type { Engine } from '../../src/engine/engine.ts';
import { engineIdentity, otherEngineInWords, parseEngineIdentity } from '../../src/trainer/engine-identity.ts';

const H100 = 'gpu (NVIDIA H100 80GB HBM3, compute 9.0, driver for CUDA 12.4, cuBLAS 12.9.3.13, cuDNN 9.28.0.42)';
const engine = (of: Partial<Engine>) =>
  ({ name: 'native', version: 'TensorFlow 2.21.0', device: 'cpu', threads: 2, lanes: 1, ...of }) as Engine;

test.each([
  [engine({}), { name: 'native-cpu', threads: 2, lanes: 1 }],
  [engine({ lanes: 2 }), { name: 'native-cpu', threads: 2, lanes: 2 }],
  [
    engine({ version: 'TensorFlow 2.21.0 for CUDA 12', device: H100, threads: 16 }),
    { name: 'native-gpu', threads: 16, lanes: 1 },
  ],
  [engine({ name: 'wasm', version: 'tfjs-wasm 4.22.0', threads: 1 }), { name: 'wasm', threads: 1, lanes: 1 }],
])('what a commit records asks for the same engine, device, lanes and threads again', (made, wish) => {
  expect(parseEngineIdentity(engineIdentity(made))).toEqual(wish);
});

test('what a later version may write asks for nothing', () => {
  expect(parseEngineIdentity('native TensorFlow 3, tpu, 2 threads, Node 30')).toBeNull();
});

test('a run that goes on with another device or other threads is told, one on another Node is not', () => {
  const here = engineIdentity(engine({}));
  const commit = (identity: string) => ({ engine: identity, step: 50 });
  expect(otherEngineInWords(commit(here), here)).toBeNull();
  expect(otherEngineInWords(commit('native TensorFlow 2.21.0, cpu, 2 threads, Node 24.0.0'), here)).toBeNull();
  const onGpu = engineIdentity(engine({ version: 'TensorFlow 2.21.0 for CUDA 12', device: H100 }));
  expect(otherEngineInWords(commit(onGpu), here)).toMatch(
    /^from step 50 on, the engine is "native TensorFlow 2\.21\.0, cpu, 2 threads"; it was ".*H100.*": its bits differ$/,
  );
  expect(otherEngineInWords(commit(engineIdentity(engine({ lanes: 2 }))), here)).toMatch(
    /it was ".*, 2 lanes, 2 threads"/,
  );
  expect(otherEngineInWords(commit(here.replace('2 threads', '3 threads')), here)).toMatch(/it was ".*3 threads"/);
});
