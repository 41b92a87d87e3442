import type { SetName } from './sets.ts';

/** What shows whether the batch has escaped: means over the last steps before a mark (src/losses/spread.ts). */
export interface Spread {
  readonly pairDistance: number;
  readonly uniformity: number;
  /** Null without a queue. */
  readonly shift: number | null;
  readonly similarity: number | null;
  readonly drift: number | null;
  /** Steps that they are the mean of. */
  readonly over: number;
}

/** Of the block's features, of a fixed set of images: also where nothing repels. */
export interface Features {
  readonly effectiveRank: number;
  readonly uniformity: number;
  readonly knnAccuracy: number | null;
}

/** A run at one of its marks. A line of results.jsonl. */
export interface Measurement {
  readonly set: SetName;
  readonly variant: string;
  readonly seed: number;
  readonly step: number;
  /** Of the whole run. */
  readonly steps: number;
  readonly samples: number;
  /** Against the images that were held out. */
  readonly fid: number;
  readonly kid: number;
  /** FID against those that were trained on. */
  readonly fidTrained: number;
  /** Share of what was drawn that is told as what it was asked for. */
  readonly accuracy: number;
  /** Null where nothing repels, or a process died between a mark and its commit. */
  readonly spread: Spread | null;
  readonly features: Features | null;
}

/** Whole lines alone: a killed process may leave half of one. */
export function readMeasurements(text: string): Measurement[] {
  return text
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line) as Measurement);
}
