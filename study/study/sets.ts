import { fileURLToPath } from 'node:url';
import { digits } from '../../src/ingest/digits.ts';
import type { ImageSource } from '../../src/ingest/source.ts';
import { emoji, emojiFolder, SIZE } from './emoji.ts';
import { DIGIT_VARIANTS, EMOJI_VARIANTS, type Variant } from './variants.ts';

/** Images to train on and to compare with. */
export interface ImageSetOfStudy {
  readonly name: SetName;
  /** A module that exports a pipeline. */
  readonly pipeline: string;
  readonly images: () => Promise<ImageSource>;
  /** The classifier whose features are compared: the package's own, or one that the study trains on the images of a folder. */
  readonly classifier:
    | 'digits'
    | { readonly folder: () => Promise<string>; readonly size: readonly [number, number]; readonly epochs: number };
  readonly variants: readonly Variant[];
  /** Of each run, unless others are asked for; the rate decays over the last half of them. */
  readonly steps: number;
}

export const SET_NAMES = ['digits', 'emoji'] as const;
export type SetName = (typeof SET_NAMES)[number];

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export const SETS: Readonly<Record<SetName, ImageSetOfStudy>> = {
  digits: {
    name: 'digits',
    pipeline: file('../../pipelines/digits.ts'),
    images: async () => digits(),
    classifier: 'digits',
    variants: DIGIT_VARIANTS,
    steps: 3_000,
  },
  emoji: {
    name: 'emoji',
    pipeline: file('./emoji-pipeline.ts'),
    images: emoji,
    classifier: { folder: emojiFolder, size: [SIZE.height, SIZE.width], epochs: 60 },
    variants: EMOJI_VARIANTS,
    steps: 1_500,
  },
};
