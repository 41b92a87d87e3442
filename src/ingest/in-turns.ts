import { RepulsorError } from '../errors.ts';
import type { ImageSource, SourceImage } from './source.ts';

export interface TurnSettings {
  /** The labels of each turn. */
  readonly turns: readonly (readonly number[])[];
  /** Images of each turn, taken again from the first one where there are fewer; null: each image once. */
  readonly perTurn: number | null;
}

/**
 * A source whose classes come one group after the other, as a stream's do whose world changes: every image of the first turn,
 * then of the second. Within a turn they keep the source's order. A turn's images are held in memory at a time.
 * Images that cannot be read come with the first turn and count for none; those of no turn, or without a label, are left out.
 * @throws RepulsorError USAGE when a turn has no image, while its images are read
 */
export function inTurns(source: ImageSource, { turns, perTurn }: TurnSettings): ImageSource {
  return {
    ...source,
    total: perTurn === null ? source.total : turns.length * perTurn,
    async *images() {
      for (const [turn, labels] of turns.entries()) {
        const ofTurn: SourceImage[] = [];
        for await (const image of source.images()) {
          if ('unreadable' in image) {
            if (turn === 0) yield image;
          } else if (image.label !== null && labels.includes(image.label)) ofTurn.push(image);
        }
        if (ofTurn.length === 0) throw noImage(source, labels);
        const count = perTurn ?? ofTurn.length;
        for (let i = 0; i < count; i++) yield ofTurn[i % ofTurn.length]!;
      }
    },
  };
}

function noImage({ id, classes }: ImageSource, labels: readonly number[]): RepulsorError {
  return new RepulsorError('USAGE', `no image of ${id} has the label ${labels.join(' or ')}`, {
    hint: classes.length === 0 ? 'its images have no labels' : `it has the labels 0 to ${classes.length - 1}`,
  });
}
