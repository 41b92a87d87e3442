import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { views } from '../../src/model/parameters.ts';
import { encodeOnnx, type OnnxGraph, type OnnxNode } from '../onnx/onnx-writer.ts';
import { BLOCK, CONVOLUTIONS, type Convolution, vaeLayout } from './model.ts';

/** Writes graphs of convolutions and SiLU, in the layout of the model: images and latents (N, C, H, W). */
class GraphBuilder {
  readonly nodes: OnnxNode[] = [];
  readonly constants: Record<string, { shape: readonly number[]; data: Float32Array }> = {};
  readonly #weights: ReturnType<typeof views>;

  constructor(weights: ReturnType<typeof views>) {
    this.#weights = weights;
  }

  convolve(x: string, name: Convolution, out: string): string {
    const { kernel, stride } = CONVOLUTIONS[name];
    const [weight, bias] = [`${name}.weight`, `${name}.bias`];
    for (const part of [weight, bias]) this.constants[part] = this.#weights[part]!;
    const pad = stride === 1 ? (kernel - 1) / 2 : 0;
    const attributes = { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad] };
    this.nodes.push({ op: 'Conv', inputs: [x, weight, bias], outputs: [out], attributes });
    return out;
  }

  silu(x: string): string {
    this.nodes.push({ op: 'Sigmoid', inputs: [x], outputs: [`${x}.gate`] });
    this.nodes.push({ op: 'Mul', inputs: [x, `${x}.gate`], outputs: [`${x}.silu`] });
    return `${x}.silu`;
  }
}

function encoderGraph(weights: ReturnType<typeof views>): OnnxGraph {
  const graph = new GraphBuilder(weights);
  const first = graph.silu(graph.convolve('sample', 'encoder.in', 'h1'));
  const second = graph.silu(graph.convolve(first, 'encoder.mix', 'h2'));
  graph.convolve(second, 'encoder.out', 'latent_parameters');
  const { nodes, constants } = graph;
  return {
    ...{ name: 'digit-vae encoder', nodes, constants },
    inputs: [{ name: 'sample', shape: ['batch_size', 1, 'height', 'width'] }],
    outputs: [{ name: 'latent_parameters', shape: ['batch_size', 8, 'height_latent', 'width_latent'] }],
  };
}

function decoderGraph(weights: ReturnType<typeof views>): OnnxGraph {
  const graph = new GraphBuilder(weights);
  const first = graph.silu(graph.convolve('latent_sample', 'decoder.in', 'h1'));
  const second = graph.silu(graph.convolve(first, 'decoder.mix', 'h2'));
  const blocks = graph.convolve(second, 'decoder.out', 'blocks');
  const { nodes, constants } = graph;
  nodes.push({ op: 'DepthToSpace', inputs: [blocks], outputs: ['sample'], attributes: { blocksize: BLOCK } });
  return {
    ...{ name: 'digit-vae decoder', nodes, constants },
    inputs: [{ name: 'latent_sample', shape: ['batch_size', 4, 'height_latent', 'width_latent'] }],
    outputs: [{ name: 'sample', shape: ['batch_size', 1, 'height', 'width'] }],
  };
}

/** Writes both halves as diffusers and optimum lay them out: FOLDER/vae_encoder/model.onnx and FOLDER/vae_decoder/model.onnx. */
export async function exportVae(flat: Float32Array, folder: string): Promise<{ encoder: string; decoder: string }> {
  const weights = views(flat, vaeLayout());
  const write = async (half: string, graph: OnnxGraph): Promise<string> => {
    await mkdir(join(folder, half), { recursive: true });
    const file = join(folder, half, 'model.onnx');
    await writeFile(file, encodeOnnx(graph));
    return file;
  };
  return {
    encoder: await write('vae_encoder', encoderGraph(weights)),
    decoder: await write('vae_decoder', decoderGraph(weights)),
  };
}

/** What latents of the exported encoder are multiplied by: read by `repulsor ingest --encode FOLDER`. */
export async function exportScale(folder: string, scale: number): Promise<void> {
  await writeFile(join(folder, 'vae_encoder', 'config.json'), `${JSON.stringify({ scaling_factor: scale })}\n`);
}
