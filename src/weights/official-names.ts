import { RepulsorError } from '../errors.ts';
import { positions2d } from '../model/embeddings.ts';
import { type ParameterLayout, sizeOf } from '../model/parameters.ts';
import type { SiTSettings } from '../model/sit.ts';
import type { NamedWeights } from './weights-file.ts';

/** The table of positions, which the official checkpoints hold although it is fixed. */
export const POSITIONS = 'pos_embed';
const PATCHES = 'x_embedder.proj.weight';

/**
 * The official checkpoint's tensors by name and shape. Names and layouts are those of our parameters (linear weights
 * (out, in); q, k and v fused in this order), but that the patches' weight is a convolution's, (D, C, p, p), whose elements lie
 * as ours do, and that there is the table of positions.
 */
export function officialShapes(layout: ParameterLayout, model: SiTSettings): Map<string, readonly number[]> {
  const { input, patch, width } = model;
  const shapes = new Map<string, readonly number[]>([[POSITIONS, [1, (input[0] / patch) * (input[1] / patch), width]]]);
  for (const { name, shape } of layout.specs)
    shapes.set(name, name === PATCHES ? [width, input[2], patch, patch] : shape);
  return shapes;
}

/** What a file's tensors say of a model of known patch: image size, channels, classes, whether sigma is learnt. */
export function modelOf(
  weights: NamedWeights,
  patch: number,
): Pick<SiTSettings, 'input' | 'classes' | 'learnSigma'> | null {
  const tokens = weights.get(POSITIONS)?.shape[1];
  const channels = weights.get(PATCHES)?.shape[1];
  const rows = weights.get('y_embedder.embedding_table.weight')?.shape[0];
  const out = weights.get('final_layer.linear.bias')?.shape[0];
  if (tokens === undefined || channels === undefined || rows === undefined || out === undefined) return null;
  const side = Math.sqrt(tokens) * patch;
  if (!Number.isInteger(side)) return null;
  return { input: [side, side, channels], classes: rows - 1, learnSigma: out === 2 * channels * patch * patch };
}

/** Every tensor that is missing, too much, or of another shape, each by its name. @throws RepulsorError STATE_MISMATCH */
export function checkShapes(
  weights: NamedWeights,
  wanted: ReadonlyMap<string, readonly number[]>,
  where: string,
): void {
  const problems: string[] = [];
  for (const [name, shape] of wanted) {
    const found = weights.get(name)?.shape;
    if (found === undefined) problems.push(`${name} is missing`);
    else if (found.join() !== shape.join()) {
      const turned = found.length === 2 && found.toReversed().join() === shape.join() ? ': it is transposed' : '';
      problems.push(`${name} is (${found.join(', ')}), the model has (${shape.join(', ')})${turned}`);
    }
  }
  for (const name of weights.keys()) if (!wanted.has(name)) problems.push(`${name} is not part of the model`);
  if (problems.length === 0) return;
  throw new RepulsorError('STATE_MISMATCH', `${where} does not fit the model:\n  ${problems.join('\n  ')}`, {
    hint: 'name the model that it is of with --model; fewer or other classes, images and blocks with --set model....',
  });
}

/** Further than rounding from the fixed table: positions that were learnt, which this model has not. */
const ROUNDING = 1e-5;

/** Whether the file's table of positions is bit for bit ours. @throws RepulsorError STATE_MISMATCH when it is another one */
export function checkPositions(table: Float32Array, { input, patch, width }: SiTSettings, where: string): boolean {
  const ours = positions2d(input[0] / patch, input[1] / patch, width);
  const worst = table.reduce((most, value, i) => Math.max(most, Math.abs(value - ours[i]!)), 0);
  if (worst > ROUNDING || !Number.isFinite(worst))
    throw new RepulsorError(
      'STATE_MISMATCH',
      `${where}: ${POSITIONS} is ${worst} away from the fixed sines and cosines`,
      {
        hint: 'positions of another kind, or learnt ones, are not part of this model',
      },
    );
  return table.every((value, i) => Object.is(value, ours[i]));
}

/** All parameters of one set as a flat vector of `layout`. */
export async function readFlat(weights: NamedWeights, layout: ParameterLayout): Promise<Float32Array> {
  const flat = new Float32Array(layout.size);
  for (const [i, { name, shape }] of layout.specs.entries()) {
    const data = await weights.get(name)!.read();
    if (data.length !== sizeOf(shape)) throw new Error(`${name} has ${data.length} numbers`);
    flat.set(data, layout.offsets[i]!);
  }
  return flat;
}
