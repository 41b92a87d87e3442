import type { Shape } from '../codec/images.ts';
import { RepulsorError } from '../errors.ts';
import { describePort, type OnnxModel, type OnnxPort } from '../onnx/onnx-model.ts';

/** What is fed to a half of an autoencoder: its only input, (N, C, H, W) float32. Null where a size is open. */
export interface ImagePort {
  readonly name: string;
  readonly batch: number | null;
  /** Height, width, channels. */
  readonly sizes: readonly [height: number | null, width: number | null, channels: number | null];
}

/** @throws RepulsorError CONFIG naming what the model takes instead */
export function onlyInput(model: OnnxModel, what: string): ImagePort {
  const [port, ...more] = model.inputs;
  if (port === undefined || more.length > 0)
    throw misfit(model, `takes ${listed(model.inputs)}; ${what} takes one input, the images or latents`);
  if (port.type !== 'float32' || port.shape.length !== 4)
    throw misfit(model, `takes ${describePort(port)}; ${what} takes float32 (N, C, H, W)`);
  const [batch, channels, height, width] = port.shape.map((size) => (typeof size === 'number' ? size : null));
  return { name: port.name, batch: batch!, sizes: [height!, width!, channels!] };
}

/** Why `shape` (height, width, channels) does not fit the fixed sizes of the input; null when it does. */
export function unfit({ inputs, file }: OnnxModel, { sizes }: ImagePort, shape: Shape, given: string): string | null {
  if (sizes.every((size, i) => size === null || size === shape[i])) return null;
  const [h, w, c] = shape;
  const what = `${given} ${h} x ${w} with ${c} channel${c === 1 ? '' : 's'}`;
  return `${file} takes ${describePort(inputs[0]!)} (N, C, H, W); ${what}`;
}

/** `latent_sample float32 [...]`, or the ports one after the other. */
export const listed = (ports: readonly OnnxPort[]): string =>
  ports.length === 0 ? 'nothing' : ports.map(describePort).join(' and ');

export function misfit(model: OnnxModel, why: string): RepulsorError {
  return new RepulsorError('CONFIG', `${model.file} ${why}`, {
    hint: 'export as diffusers and optimum do: encoder sample -> latent_parameters, decoder latent_sample -> sample, float32',
  });
}

/** How many images one run takes, so that their memory stays what it is: one of 512 x 512, four of 256 x 256. */
export const imagesAtOnce = ({ batch }: ImagePort, height: number, width: number): number =>
  batch ?? Math.min(64, Math.max(1, Math.floor(2 ** 18 / (height * width))));
