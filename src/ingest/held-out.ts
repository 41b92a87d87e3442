import type { ImageSource } from './source.ts';

/** One image of so many, in a source's order, is held out: never trained on. */
export const HELD_OUT_OF = 10;

/** Of the image that comes as number `at` of its source, from 0. */
export const isHeldOut = (at: number): boolean => at % HELD_OUT_OF === HELD_OUT_OF - 1;

/**
 * A source in two parts, each in the source's order: every tenth image is held out, to measure a model by what it never saw.
 * Images that cannot be read count for none, and come with those to train on.
 */
export function holdOut(source: ImageSource): { readonly train: ImageSource; readonly heldOut: ImageSource } {
  const held = Math.floor(source.total / HELD_OUT_OF);
  return {
    train: { ...source, total: source.total - held, images: () => part(source, false) },
    heldOut: { ...source, id: `${source.id}, held out`, total: held, images: () => part(source, true) },
  };
}

async function* part(source: ImageSource, heldOut: boolean): ReturnType<ImageSource['images']> {
  let at = 0;
  for await (const image of source.images()) {
    if ('unreadable' in image) {
      if (!heldOut) yield image;
    } else if (isHeldOut(at++) === heldOut) yield image;
  }
}
