import { joined } from '../codec/joined.ts';
import { RepulsorError } from '../errors.ts';
import { sizeOf } from '../model/parameters.ts';
import { describePort, type OnnxModel, type OnnxTensor, openOnnxModel } from '../onnx/onnx-model.ts';
import type { Features } from '../statistics/features.ts';
import type { FeatureExtractor } from './extractor.ts';
import { resizeBilinear } from './resize-bilinear.ts';

/** What a model takes pixels as: [-1, 1], [0, 1], [0, 255], or [0, 1] less ImageNet's mean over its deviation, by channel. */
export const ONNX_RANGES = ['signed', 'unit', 'bytes', 'imagenet'] as const;
export type OnnxRange = (typeof ONNX_RANGES)[number];

export interface OnnxExtractorSettings {
  /** Height and width that images are brought to. Null: those that the model declares; where it leaves them open, their own. */
  readonly size: readonly [number, number] | null;
  readonly range: OnnxRange;
  /** The output with the features. Null: the first. */
  readonly features: string | null;
  /** The output with the classes' logits. Null: it tells no classes. */
  readonly logits: string | null;
}

/** Images of one call where the model leaves their number open: 50 of 299 x 299 x 3 are 54 MB. */
const BATCH = 50;

const IMAGENET = { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] } as const;

/**
 * An extractor that a user brought: an ONNX model of one input, images (n, C, H, W) or (n, H, W, C) as it declares, with an
 * output (n, d) or (n, d, 1, 1). Grey images are given to a model of three channels three times. Disposed by the caller.
 * @throws RepulsorError USAGE for a model that has no such input or output, ENGINE_UNAVAILABLE without ONNX Runtime
 */
export async function openOnnxExtractor(file: string, settings: OnnxExtractorSettings): Promise<FeatureExtractor> {
  const model = await openOnnxModel(file);
  try {
    const input = inputOf(model);
    const size = settings.size ?? input.size;
    const features = outputNamed(model, settings.features);
    const logits = settings.logits === null ? null : outputNamed(model, settings.logits);
    const { range } = settings;
    return {
      id: `onnx:${model.sha256}:${size?.join('x') ?? 'own size'}:${range}:${features}`,
      name: file,
      async extract(images, shape) {
        if (input.channels !== null && shape[2] !== 1 && shape[2] !== input.channels)
          throw new RepulsorError(
            'USAGE',
            `${file} takes images of ${input.channels} channels, these have ${shape[2]}`,
            {
              hint: 'latents need a decoder first',
            },
          );
        const elements = sizeOf(shape);
        const n = images.length / elements;
        const made: OnnxTensor[] = [];
        const told: OnnxTensor[] = [];
        const batch = input.batch ?? BATCH;
        for (let first = 0; first < n; first += batch) {
          const rows = Math.min(batch, n - first);
          const part = new Float32Array((input.batch ?? rows) * elements);
          part.set(images.subarray(first * elements, (first + rows) * elements));
          const out = await model.run({ [input.name]: asInput(part, shape, input, size, range) });
          made.push(rowsOf(out[features]!, rows, file));
          if (logits !== null) told.push(rowsOf(out[logits]!, rows, file));
        }
        return { features: joinedRows(made), probabilities: logits === null ? null : softmax(joinedRows(told)) };
      },
      // ONNX Runtime frees a session by itself too; nothing is left to wait for.
      dispose: () => void model.close(),
    };
  } catch (error) {
    await model.close();
    throw error;
  }
}

interface ImageInput {
  readonly name: string;
  readonly channelsFirst: boolean;
  /** Null where it is open. */
  readonly batch: number | null;
  readonly channels: number | null;
  readonly size: readonly [number, number] | null;
}

function inputOf({ inputs, file }: OnnxModel): ImageInput {
  const [port] = inputs;
  if (inputs.length !== 1 || port === undefined || port.type !== 'float32' || port.shape.length !== 4)
    throw new RepulsorError('USAGE', `${file} does not take images, but ${inputs.map(describePort).join('; ')}`, {
      hint: 'export a model with one input, float32 (n, 3, H, W) or (n, H, W, 3)',
    });
  const known = (size: number | string): number | null => (typeof size === 'number' && size > 0 ? size : null);
  const [n, a, b, c] = port.shape as [number | string, number | string, number | string, number | string];
  const channelsFirst = !([1, 3].includes(c as number) && ![1, 3].includes(a as number));
  const [channels, height, width] = channelsFirst ? [a, b, c] : [c, a, b];
  const [h, w] = [known(height), known(width)];
  return {
    name: port.name,
    channelsFirst,
    batch: known(n),
    channels: known(channels),
    size: h === null || w === null ? null : [h, w],
  };
}

function outputNamed({ outputs, file }: OnnxModel, name: string | null): string {
  const found = name === null ? outputs[0] : outputs.find((output) => output.name === name);
  if (found !== undefined) return found.name;
  throw new RepulsorError('USAGE', `${file} has no output ${name}`, {
    hint: `it has ${outputs.map(describePort).join('; ')}`,
  });
}

function asInput(
  images: Float32Array,
  shape: readonly [number, number, number],
  input: ImageInput,
  size: readonly [number, number] | null,
  range: OnnxRange,
): OnnxTensor {
  const [h, w] = size ?? [shape[0], shape[1]];
  const has = shape[2];
  const channels = input.channels ?? has;
  const resized = resizeBilinear(images, shape, [h, w]);
  const n = resized.length / (h * w * has);
  const data = new Float32Array(n * h * w * channels);
  for (let i = 0; i < n; i++)
    for (let k = 0; k < channels; k++) {
      const from = has === 1 ? 0 : k;
      for (let at = 0; at < h * w; at++) {
        const to = input.channelsFirst ? (i * channels + k) * h * w + at : (i * h * w + at) * channels + k;
        data[to] = inRange(resized[(i * h * w + at) * has + from], range, k);
      }
    }
  return { shape: input.channelsFirst ? [n, channels, h, w] : [n, h, w, channels], data };
}

/** Samples may lie a little outside of [-1, 1]; pictures do not. */
function inRange(value: number, range: OnnxRange, channel: number): number {
  const unit = (Math.min(1, Math.max(-1, value)) + 1) / 2;
  switch (range) {
    case 'signed':
      return 2 * unit - 1;
    case 'unit':
      return unit;
    case 'bytes':
      return Math.round(255 * unit);
    case 'imagenet':
      return (unit - IMAGENET.mean[channel % 3]!) / IMAGENET.deviation[channel % 3]!;
  }
}

/** The first rows of an output (B, d, 1, ...). */
function rowsOf({ shape, data }: OnnxTensor, rows: number, file: string): OnnxTensor {
  const [, d = 0, ...rest] = shape;
  if (d === 0 || rest.some((size) => size !== 1))
    throw new RepulsorError('USAGE', `${file} gives (${shape.join(', ')}), not one row of features an image`, {
      hint: 'name the output that is pooled over places (--onnx-features)',
    });
  return { shape: [rows, d], data: data.subarray(0, rows * d) };
}

function joinedRows(parts: readonly OnnxTensor[]): Features {
  const rows = parts.reduce((sum, { shape }) => sum + shape[0]!, 0);
  const data = joined(
    Float32Array,
    parts.map((part) => part.data),
  );
  return { shape: [rows, parts[0]?.shape[1] ?? 0], data };
}

function softmax({ shape, data }: Features): Features {
  const [n, classes] = shape;
  const out = new Float32Array(data.length);
  for (let i = 0; i < n; i++) {
    const row = data.subarray(i * classes, (i + 1) * classes);
    const most = row.reduce((a, b) => Math.max(a, b));
    const sum = row.reduce((total, value) => total + Math.exp(value - most), 0);
    for (let c = 0; c < classes; c++) out[i * classes + c] = Math.exp(row[c] - most) / sum;
  }
  return { shape, data: out };
}
