import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeSafetensors, encodeSafetensors } from '../checkpoint/safetensors.ts';
import { writeSafetensorsFile } from '../checkpoint/safetensors-file.ts';
import type { HostTensor } from '../engine/engine.ts';
import { makeFolder } from '../files/durable-file.ts';
import { type RootedGaussian, withRoot } from '../statistics/fid.ts';
import { gaussianOf } from '../statistics/gaussian.ts';
import type { FeatureSet } from './feature-set.ts';
import { readFeatures, writeFeatures } from './features-file.ts';

/**
 * What is kept of references, in a folder, by content: a file is named by a digest of all that it follows from, so it is
 * never stale, and may be deleted at any time.
 *
 *   features-DIGEST.safetensors   a features file; of the images' digest and the extractor's id
 *   gaussian-DIGEST.safetensors   mean (d, 2), covariance (d, d, 2), root (d, d, 2), count (1): I32; of the features' bytes.
 *                                 The format's dtypes that we write have no float64, so each is the two halves of one.
 */
export interface ReferenceCache {
  /** Features of images with this digest, made where they are not there. */
  features(imagesDigest: string, extractor: string, make: () => Promise<FeatureSet>): Promise<FeatureSet>;
  /** The Gaussian of features, with its root. */
  rooted(reference: FeatureSet): Promise<RootedGaussian>;
}

/** Part of every name: a change of what is computed makes other names. */
const VERSION = 'repulsor-reference-1';

export function openReferenceCache(folder: string): ReferenceCache {
  const file = (kind: string, ...of: (string | Uint8Array)[]) => {
    const hash = createHash('sha256').update(VERSION);
    for (const part of of) hash.update('\n').update(part);
    return join(folder, `${kind}-${hash.digest('hex')}.safetensors`);
  };
  return {
    async features(imagesDigest, extractor, make) {
      const path = file('features', imagesDigest, extractor);
      if (existsSync(path)) return readFeatures(path);
      const made = await make();
      await makeFolder(folder);
      await writeFeatures(path, made);
      return made;
    },
    async rooted({ features }) {
      const { shape, data } = features;
      const path = file('gaussian', shape.join(), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      if (existsSync(path)) return readGaussian(path);
      const made = withRoot(gaussianOf(features));
      await makeFolder(folder);
      await writeGaussian(path, made);
      return made;
    },
  };
}

async function writeGaussian(path: string, { count, dim, mean, covariance, root }: RootedGaussian): Promise<void> {
  const halves = (data: Float64Array, shape: readonly number[]): HostTensor => ({
    shape: [...shape, 2],
    dtype: 'int32',
    data: new Int32Array(data.buffer, data.byteOffset, 2 * data.length),
  });
  const tensors = {
    count: { shape: [1], dtype: 'int32', data: Int32Array.of(count) } as const,
    mean: halves(mean, [dim]),
    covariance: halves(covariance, [dim, dim]),
    root: halves(root, [dim, dim]),
  };
  await writeSafetensorsFile(path, encodeSafetensors(tensors));
}

async function readGaussian(path: string): Promise<RootedGaussian> {
  const bytes = await readFile(path);
  const { tensors } = await decodeSafetensors([bytes], bytes.length, path);
  const joined = (name: string) => {
    const halves = tensors.get(name)!.data as Int32Array;
    return new Float64Array(halves.buffer, halves.byteOffset, halves.length / 2);
  };
  const mean = joined('mean');
  const count = tensors.get('count')!.data[0] as number;
  return { count, dim: mean.length, mean, covariance: joined('covariance'), root: joined('root') };
}
