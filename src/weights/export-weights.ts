import { encodeSafetensors } from '../checkpoint/safetensors.ts';
import { writeSafetensorsFile } from '../checkpoint/safetensors-file.ts';
import type { BlobContent } from '../checkpoint/store.ts';
import type { HostTensors } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import type { SiT } from '../model/create-sit.ts';
import { positions2d } from '../model/embeddings.ts';
import { views } from '../model/parameters.ts';
import { type SiTSettings, sitLayout } from '../model/sit.ts';
import type { Weights } from './import-weights.ts';
import { officialShapes, POSITIONS } from './official-names.ts';
import { torchCheckpoint } from './torch-writer.ts';

export const EXPORT_FORMATS = ['safetensors', 'pt-names'] as const;

/**
 * One set of weights under the official names and in the official shapes, positions included, the projection left out: what
 * the official code's load_state_dict takes. No copy: views of `blob`. `table` is the table of positions of an imported run.
 * @throws RepulsorError STATE_MISMATCH when the blob lacks a tensor
 */
export function officialState(blob: HostTensors, model: SiTSettings, table: Float32Array | null): HostTensors {
  const { input, patch, width } = model;
  const tensors: HostTensors = {};
  for (const [name, shape] of officialShapes(sitLayout(model), model)) {
    const data =
      name === POSITIONS ? (table ?? positions2d(input[0] / patch, input[1] / patch, width)) : blob[name]?.data;
    if (data === undefined)
      throw new RepulsorError('STATE_MISMATCH', `the run has no tensor ${name}`, {
        hint: 'look at it: repulsor inspect',
      });
    tensors[name] = { shape, dtype: 'float32', data };
  }
  return tensors;
}

export interface ExportOptions {
  /** `pt-names`: a PyTorch checkpoint. Default `safetensors`. */
  readonly format?: (typeof EXPORT_FORMATS)[number];
  /** Text that a safetensors file keeps beside its tensors. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes weights under the official names, for the official code and for `importWeights`, which gives them back bit for bit: plain, or
 * as `model` and `ema` where there is an average. The file appears whole or not at all.
 * @throws RepulsorError STORE_FAILED, USAGE when the parameters are not as many as the model has
 */
export async function exportWeights(
  path: string,
  weights: SiT & Partial<Weights>,
  { format = 'safetensors', metadata = {} }: ExportOptions = {},
): Promise<void> {
  const { model, parameters, ema = parameters, positions = null } = weights;
  const layout = sitLayout(model);
  for (const { length } of [parameters, ema])
    if (length !== layout.size)
      throw new RepulsorError('USAGE', `the model has ${layout.size} parameters, not ${length}`, {
        hint: 'give the parameters with the settings that they were made for',
      });
  const official = (flat: Float32Array) => officialState(views(flat, layout), model, positions);
  const sets = { model: official(parameters), ...(ema === parameters ? {} : { ema: official(ema) }) };
  await writeSafetensorsFile(path, encodeWeights(sets, format, metadata));
}

/** A file of one set of weights, plain, or of several by name, as the official train.py saves them. */
export function encodeWeights(
  sets: Readonly<Record<string, HostTensors>>,
  format: (typeof EXPORT_FORMATS)[number],
  metadata: Readonly<Record<string, string>>,
): BlobContent {
  const all = Object.entries(sets);
  const plain = all.length === 1 ? all[0]![1] : null;
  if (format === 'pt-names') return torchCheckpoint(plain ?? sets);
  const prefixed = all.flatMap(([set, tensors]) =>
    Object.entries(tensors).map(([name, tensor]) => [`${set}.${name}`, tensor] as const),
  );
  return encodeSafetensors(plain ?? Object.fromEntries(prefixed), metadata);
}
