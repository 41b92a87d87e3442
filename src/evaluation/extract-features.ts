import { joined } from '../codec/joined.ts';
import { sizeOf } from '../model/parameters.ts';
import type { Features } from '../statistics/features.ts';
import type { FeatureExtractor } from './extractor.ts';
import type { FeatureSet } from './feature-set.ts';
import type { ImageSet } from './image-set.ts';

/**
 * Features of a whole set, chunk by chunk: what is held is a chunk of images and the features, 4 bytes a number (50,000 of
 * 2,048: 410 MB).
 */
export async function extractFeatures(
  extractor: FeatureExtractor,
  set: ImageSet,
  onProgress: (done: number) => void = () => {},
): Promise<FeatureSet> {
  const features = new GrowingRows(set.total);
  const probabilities = new GrowingRows(set.total);
  const labels: Int32Array[] = [];
  const size = sizeOf(set.shape);
  let done = 0;
  for await (const chunk of set.chunks()) {
    const made = await extractor.extract(chunk.images, set.shape);
    features.append(made.features);
    if (made.probabilities !== null) probabilities.append(made.probabilities);
    labels.push(chunk.labels);
    done += chunk.images.length / size;
    onProgress(done);
  }
  const told = probabilities.whole();
  return {
    features: features.whole(),
    probabilities: told.shape[1] === 0 ? null : told,
    labels: joined(Int32Array, labels),
    extractor: extractor.id,
  };
}

/** Rows that come a few at a time, in one array; made once where their number is known. */
class GrowingRows {
  readonly #expected: number;
  #data = new Float32Array(0);
  #rows = 0;
  #dim = 0;

  constructor(expected: number | null) {
    this.#expected = expected ?? 0;
  }

  append({ shape: [n, d], data }: Features): void {
    this.#dim = d;
    const needed = (this.#rows + n) * d;
    if (needed > this.#data.length) {
      const grown = new Float32Array(
        Math.max(this.#expected * d, needed, this.#rows === 0 ? 0 : 2 * this.#data.length),
      );
      grown.set(this.#data.subarray(0, this.#rows * d));
      this.#data = grown;
    }
    this.#data.set(data, this.#rows * d);
    this.#rows += n;
  }

  whole(): Features {
    return { shape: [this.#rows, this.#dim], data: this.#data.subarray(0, this.#rows * this.#dim) };
  }
}
