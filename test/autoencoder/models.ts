import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeOnnx, type OnnxGraph, type OnnxNode, type OnnxValue } from '../../scripts/onnx/onnx-writer.ts';

/** Small models of known formulas, written as ONNX: real files for the real runtime. */

export const OPEN_SAMPLE: OnnxValue = { name: 'sample', shape: ['batch', 'channels', 'height', 'width'] };

const open = (name: string): OnnxValue => ({ name, shape: ['batch', 'c', 'h', 'w'] });

/** The mean of each 2 x 2 block, of one channel. */
const POOL: OnnxNode = {
  op: 'AveragePool',
  inputs: ['sample'],
  outputs: ['pooled'],
  attributes: { kernel_shape: [2, 2], strides: [2, 2] },
};

const scalar = (value: number) => ({ shape: [], data: Float32Array.of(value) });

/** mean = the mean of a block, log variance = 100 times it: beyond the bounds for what is not nearly grey. */
export const POOLING: OnnxGraph = {
  name: 'pooling',
  inputs: [OPEN_SAMPLE],
  outputs: [open('latent_parameters')],
  constants: { hundred: scalar(100) },
  nodes: [
    POOL,
    { op: 'Mul', inputs: ['pooled', 'hundred'], outputs: ['logvar'] },
    { op: 'Concat', inputs: ['pooled', 'logvar'], outputs: ['latent_parameters'], attributes: { axis: 1 } },
  ],
};

/** The mean of a block, times `factor`, as a point. */
export const pointing = (factor: number, input: OnnxValue = OPEN_SAMPLE): OnnxGraph => ({
  name: 'pointing',
  inputs: [input],
  outputs: [open('latent_sample')],
  constants: { factor: scalar(factor) },
  nodes: [POOL, { op: 'Mul', inputs: ['pooled', 'factor'], outputs: ['latent_sample'] }],
});

/** A point that the model draws by itself, as exports of old versions of diffusers do. */
export const DRAWING: OnnxGraph = {
  ...pointing(1),
  nodes: [
    POOL,
    { op: 'RandomNormalLike', inputs: ['pooled'], outputs: ['noise'] },
    { op: 'Add', inputs: ['pooled', 'noise'], outputs: ['latent_sample'] },
  ],
};

/** Each latent as a block of 2 x 2 equal pixels. */
export const BLOCKS: OnnxGraph = {
  name: 'blocks',
  inputs: [open('latent_sample')],
  outputs: [open('sample')],
  constants: { scales: { shape: [4], data: Float32Array.of(1, 1, 2, 2) } },
  nodes: [
    { op: 'Resize', inputs: ['latent_sample', '', 'scales'], outputs: ['sample'], attributes: { mode: 'nearest' } },
  ],
};

export async function writeModel(folder: string, name: string, graph: OnnxGraph): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, encodeOnnx(graph));
  return file;
}
