import type { SiT } from '../model/create-sit.ts';
import { DEFAULT_SIT, type SiTSettings, sitLayout } from '../model/sit.ts';
import { checkPositions, checkShapes, modelOf, officialShapes, POSITIONS, readFlat } from './official-names.ts';
import { openWeights } from './open-weights.ts';
import type { WeightsFile } from './weights-file.ts';

/** What a file of weights holds: `parameters`, the trained ones, and their average, laid out by `sitLayout`. */
export interface Weights extends SiT {
  /** The same array as `parameters` where the file has one set. */
  readonly ema: Float32Array;
  /** The file's own table of positions (N, D), where its last bits are not ours; else null. */
  readonly positions: Float32Array | null;
}

/** What a file cannot say of its model, and whatever else is to be held to. */
export type KnownOfModel = Pick<SiTSettings, 'patch' | 'width' | 'depth' | 'heads'> & Partial<SiTSettings>;

/** Latents of a 256 x 256 image, and the classes of ImageNet: what a file that does not say is taken for, to be told what it lacks. */
export const PUBLISHED = { input: [32, 32, 4], classes: 1000, learnSigma: true } as const;

/**
 * The weights in a PyTorch checkpoint (.pt, read as data: nothing in it is run) or safetensors file with the official names.
 * Image size, channels, classes and learnt sigma are the file's own unless `known` says them.
 * @throws RepulsorError STATE_MISMATCH naming every tensor that does not fit, BAD_RECORD for a file of another kind, USAGE when
 * there is none
 *
 * @example
 * const { ema } = await importWeights('SiT-XL-2-256x256.pt', sitModel('SiT-XL/2'));
 */
export async function importWeights(path: string, known: KnownOfModel): Promise<Weights> {
  const file = await openWeights(path);
  try {
    return await readWeights(file, { ...DEFAULT_SIT, ...(modelOf(file.model, known.patch) ?? PUBLISHED), ...known });
  } finally {
    await file.close();
  }
}

/**
 * An open file's weights. Holds one set in memory, two where the file has two.
 * @throws RepulsorError STATE_MISMATCH, BAD_RECORD
 */
export async function readWeights(file: WeightsFile, model: SiTSettings): Promise<Weights> {
  const layout = sitLayout(model);
  const shapes = officialShapes(layout, model);
  const sets = file.ema === file.model ? [file.model] : [file.model, file.ema];
  for (const set of sets) checkShapes(set, shapes, file.path);
  const parameters = await readFlat(file.model, layout);
  const ema = sets.length === 1 ? parameters : await readFlat(file.ema, layout);
  const table = await file.ema.get(POSITIONS)!.read();
  return { model, parameters, ema, positions: checkPositions(table, model, file.path) ? null : table };
}
