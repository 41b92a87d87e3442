/** A tensor of a file of weights, read when it is wanted. */
export interface WeightTensor {
  readonly shape: readonly number[];
  /** As the file names it. */
  readonly dtype: string;
  /** Row-major. Half precision is widened, which is exact. @throws RepulsorError BAD_RECORD */
  read(): Promise<Float32Array>;
}

export type NamedWeights = ReadonlyMap<string, WeightTensor>;

/**
 * What a file of weights holds: `model` and `ema`, of which a plain one has one. Whatever else lies in it (the optimizer,
 * arguments) is left there.
 */
export interface WeightsFile {
  readonly path: string;
  readonly model: NamedWeights;
  /** The averaged weights; the same as `model` where the file has one set. */
  readonly ema: NamedWeights;
  close(): Promise<void>;
}
