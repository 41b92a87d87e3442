import type { Features } from '../statistics/features.ts';

/** What makes features of images, so that sets of images can be compared. */
export interface FeatureExtractor {
  /** Names it by content: features are comparable where this is equal. */
  readonly id: string;
  /** For people. */
  readonly name: string;
  /**
   * Features (n, dim) and class probabilities (n, classes), where it tells classes, of images (n, H, W, C) in [-1, 1].
   * @throws RepulsorError USAGE for images that it cannot take
   */
  extract(
    images: Float32Array,
    shape: readonly [number, number, number],
  ): Promise<{ readonly features: Features; readonly probabilities: Features | null }>;
  dispose(): void;
}
