import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { decodeSafetensors, encodeSafetensors } from '../checkpoint/safetensors.ts';
import { writeSafetensorsFile } from '../checkpoint/safetensors-file.ts';
import { channelsFirst, channelsLast } from '../codec/channel-order.ts';
import type { HostTensors } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import { sizeOf } from '../model/parameters.ts';
import type { Drawing } from './draw.ts';

/** Where the channels stand: ours are last, PyTorch's come first. */
export const ARRAY_LAYOUTS = ['nhwc', 'nchw'] as const;
export type ArrayLayout = (typeof ARRAY_LAYOUTS)[number];

type Shape = readonly [number, number, number];

/**
 * Noise from a safetensors file, as (n, H, W, C): its tensor `noise`, or its only one, float32, (n, H, W, C) or (n, C, H, W).
 * Which of the two, the shape says; where it fits both, `layout` must.
 * @throws RepulsorError USAGE, STATE_DAMAGED
 */
export async function readNoise(
  file: string,
  input: Shape,
  layout: ArrayLayout | undefined,
): Promise<{ noise: Float32Array; layout: ArrayLayout }> {
  const bytes = await stat(file).catch((cause: Error) => {
    throw refused(`${file} cannot be read: ${cause.message}`, 'name a safetensors file');
  });
  const { tensors } = await decodeSafetensors(createReadStream(file), bytes.size, file);
  const tensor = tensors.get('noise') ?? (tensors.size === 1 ? [...tensors.values()][0] : undefined);
  if (tensor === undefined)
    throw refused(`${file} has no tensor named noise, but ${[...tensors.keys()].join(', ')}`, 'name one of them noise');
  const [h, w, c] = input;
  const fits = { nhwc: [h, w, c].join(), nchw: [c, h, w].join() };
  const [n, ...shape] = tensor.shape;
  const possible = ARRAY_LAYOUTS.filter((name) => fits[name] === shape.join() && (layout ?? name) === name);
  if (!(tensor.data instanceof Float32Array) || possible.length === 0 || !(n! > 0))
    throw refused(
      `the noise in ${file} is ${tensor.dtype} (${tensor.shape}); the model takes float32 (n, ${h}, ${w}, ${c}) or (n, ${c}, ${h}, ${w})`,
      'give noise of the shape of model.input; `repulsor inspect --json` shows it',
    );
  if (possible.length === 2 && c > 1)
    throw refused(`the noise in ${file} may have its channels first or last`, 'say which: --layout nchw or nhwc');
  const found = possible[0]!;
  return { noise: found === 'nhwc' ? tensor.data : channelsLast(tensor.data, input), layout: found };
}

/**
 * Writes raw arrays, with the noise they began as, so that any implementation can draw the same: `samples` and `noise`
 * float32, `labels` int32. Appears whole or not at all. @throws RepulsorError STORE_FAILED
 */
export async function writeSamples(
  file: string,
  { images, noise, labels }: Drawing,
  input: Shape,
  layout: ArrayLayout,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const [h, w, c] = input;
  const shape = [images.length / sizeOf(input), ...(layout === 'nhwc' ? [h, w, c] : [c, h, w])];
  const array = (data: Float32Array) =>
    ({ shape, dtype: 'float32', data: layout === 'nhwc' ? data : channelsFirst(data, input) }) as const;
  const tensors: HostTensors = {
    samples: array(images),
    noise: array(noise),
    labels: { shape: [labels.length], dtype: 'int32', data: Int32Array.from(labels) },
  };
  await writeSafetensorsFile(file, encodeSafetensors(tensors, { ...metadata, layout }));
}

function refused(what: string, hint: string): RepulsorError {
  return new RepulsorError('USAGE', what, { hint });
}
