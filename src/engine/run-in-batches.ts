import { RepulsorError } from '../errors.ts';
import type { HostTensor, HostTensors, Program } from './engine.ts';

/**
 * Runs a program that takes `size` rows of each input, and gives as many of each output, over as many rows as there are. The last
 * batch is filled up with zeros, of which nothing comes back: one compiled shape serves all. Batch i runs as step i.
 * @throws RepulsorError ENGINE_FAILED, also where the inputs have different numbers of rows
 */
export async function runInBatches(
  program: Pick<Program, 'run'>,
  inputs: Readonly<HostTensors>,
  size: number,
): Promise<HostTensors> {
  const rows = rowsOf(inputs);
  const whole: Record<string, HostTensor> = {};
  // Also of no rows: what a row of each output is, only a run tells.
  for (let batch = 0; batch === 0 || batch * size < rows; batch++) {
    const fed = Object.entries(inputs).map(([name, tensor]) => [name, batchOf(tensor, batch * size, size)]);
    const outputs = await program.run(Object.fromEntries(fed), batch);
    for (const [name, { shape, dtype, data }] of Object.entries(outputs)) {
      const row = data.length / size;
      whole[name] ??= { shape: [rows, ...shape.slice(1)], dtype, data: sameKind(data, rows * row) };
      const wanted = Math.min(size, rows - batch * size) * row;
      whole[name].data.set(data.subarray(0, wanted), batch * size * row);
    }
  }
  return whole;
}

function rowsOf(inputs: Readonly<HostTensors>): number {
  const counts = Object.entries(inputs).map(([name, { shape }]) => [name, shape[0]] as const);
  const [first] = counts;
  if (first?.[1] !== undefined && counts.every(([, rows]) => rows === first[1])) return first[1];
  const list = counts.map(([name, rows]) => `${name} ${rows ?? 'none'}`).join(', ');
  throw new RepulsorError('ENGINE_FAILED', `the inputs have different numbers of rows: ${list || 'there are none'}`, {
    hint: 'give as many rows of each',
  });
}

function batchOf({ shape, data }: HostTensor, from: number, size: number): HostTensor['data'] {
  const row = shape.slice(1).reduce((product, axis) => product * axis, 1);
  const there = data.subarray(from * row, (from + size) * row);
  if (there.length === size * row) return there;
  const filled = sameKind(data, size * row);
  filled.set(there);
  return filled;
}

const sameKind = (like: HostTensor['data'], length: number): HostTensor['data'] =>
  like instanceof Float32Array ? new Float32Array(length) : new Int32Array(length);
