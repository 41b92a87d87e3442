import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { decodeSafetensors, encodeSafetensors, type SafeTensor } from '../checkpoint/safetensors.ts';
import { writeSafetensorsFile } from '../checkpoint/safetensors-file.ts';
import type { HostTensors } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import type { Features } from '../statistics/features.ts';
import type { FeatureSet } from './feature-set.ts';

/*
 * A file of features (safetensors):
 *
 *   features       F32 (or F16, BF16) (n, d)
 *   probabilities  F32 (n, classes), optional
 *   labels         I32 or I64 (n), optional; -1 for none
 *   __metadata__   extractor: its id, optional; and what else is to be said of the images
 *
 * Another program's file with one matrix of any name is read too.
 */

/** @throws RepulsorError USAGE for a file that is not there or holds no features, STATE_DAMAGED */
export async function readFeatures(file: string): Promise<FeatureSet> {
  const found = await stat(file).catch((cause: Error) => {
    throw refused(`${file} cannot be read: ${cause.message}`);
  });
  const { tensors, metadata } = await decodeSafetensors(createReadStream(file), found.size, file);
  const matrices = [...tensors.values()].filter(({ shape }) => shape.length === 2);
  const features = asFeatures(tensors.get('features') ?? (matrices.length === 1 ? matrices[0] : undefined));
  if (features === null) throw refused(`${file} has no tensor "features" of float32 (n, d)`);
  const labels = tensors.get('labels');
  if (labels !== undefined && labels.data.length !== features.shape[0])
    throw refused(`${file} has ${features.shape[0]} features and ${labels.data.length} labels`);
  return {
    features,
    probabilities: asFeatures(tensors.get('probabilities')),
    labels: labels ? Int32Array.from(labels.data as Int32Array, Number) : new Int32Array(features.shape[0]).fill(-1),
    extractor: metadata['extractor'] ?? null,
  };
}

/** @throws RepulsorError STORE_FAILED */
export async function writeFeatures(
  file: string,
  { features, probabilities, labels, extractor }: FeatureSet,
  about: Readonly<Record<string, string>> = {},
): Promise<void> {
  const matrix = ({ shape, data }: Features) => ({ shape, data, dtype: 'float32' }) as const;
  const tensors: HostTensors = {
    features: matrix(features),
    ...(probabilities && { probabilities: matrix(probabilities) }),
    labels: { shape: [labels.length], dtype: 'int32', data: labels },
  };
  await writeSafetensorsFile(file, encodeSafetensors(tensors, { ...about, ...(extractor !== null && { extractor }) }));
}

function asFeatures(tensor: SafeTensor | undefined): Features | null {
  if (tensor === undefined || tensor.shape.length !== 2 || !(tensor.data instanceof Float32Array)) return null;
  return { shape: [tensor.shape[0]!, tensor.shape[1]!], data: tensor.data };
}

function refused(what: string): RepulsorError {
  return new RepulsorError('USAGE', what, {
    hint: 'name a file that `repulsor evaluate --save-features` wrote, or such a one',
  });
}
