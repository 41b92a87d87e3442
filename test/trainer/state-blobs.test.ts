import { expect, test } from 'vitest';
import { openCpuEngine } from '../../src/engine/eager/eager-engine.ts';
import type { HostTensors } from '../../src/engine/engine.ts';
import { halfName, halfNames, halvesOf } from '../../src/trainer/halves.ts';
import { blobEntries, fromBlobs, roomForBlobs, toBlobs } from '../../src/trainer/state-blobs.ts';
import { initialState, trainLayout } from '../../src/trainer/train-state.ts';
import { tinyPipeline } from './tiny-run.ts';

const pipeline = tinyPipeline();
const layout = trainLayout(pipeline);
const entries = blobEntries(pipeline);
const state = initialState(pipeline);
const stored = Object.fromEntries(entries.map((name) => [name, state[name]!]));

/** Every tensor in memory of its own, as a reader without room makes it. */
const scattered = (): Record<string, HostTensors> =>
  Object.fromEntries(
    Object.entries(toBlobs(stored, layout)).map(([blob, tensors]) => [
      blob,
      Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, { ...t, data: t.data.slice() }])),
    ]),
  );

test('the entries are all of the state but the queue', () => {
  expect(new Set(entries)).toEqual(new Set(Object.keys(state).filter((name) => !name.startsWith('queue.'))));
  const plain = blobEntries({ ...pipeline, losses: { ...pipeline.losses, repulsion: null } });
  expect(entries.filter((name) => !plain.includes(name))).toEqual(halfNames('slow'));
});

test('what was read into the engine’s room is the vectors already, without a copy', async () => {
  const room = roomForBlobs(await openCpuEngine(), entries, layout);
  for (const [blob, tensors] of Object.entries(scattered()))
    for (const [name, tensor] of Object.entries(tensors)) room[blob]![name]!.data.set(tensor.data);
  const back = fromBlobs(room, entries, layout);
  expect(back).toEqual(stored);
  for (const [half, { specs }] of halvesOf(layout).entries())
    expect(back[halfName('params', half)]!.data.buffer).toBe(room['model']![specs[0]!.name]!.data.buffer);
});

test('what was read elsewhere is copied together', () => {
  expect(fromBlobs(scattered(), entries, layout)).toEqual(stored);
});

test('a tensor or a blob that is not there, or of another shape, is named', () => {
  const { keys: _, ...withoutKeys } = scattered();
  expect(() => fromBlobs(withoutKeys, entries, layout)).toThrow(/the blob keys: the tensor .* is not there/);
  const misshapen = scattered();
  const [name, tensor] = Object.entries(misshapen['optimizer']!)[0]!;
  misshapen['optimizer']![name] = { ...tensor, shape: [1, ...tensor.shape] };
  expect(() => fromBlobs(misshapen, entries, layout)).toThrow(`the tensor ${name} is (1,`);
});
