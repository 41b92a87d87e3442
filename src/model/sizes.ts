import { RepulsorError } from '../errors.ts';
import type { SiTSettings } from './sit.ts';

/** Depth, width and heads of the published sizes (Ma et al. 2024, table 1). */
const SIZES = {
  S: { depth: 12, width: 384, heads: 6 },
  B: { depth: 12, width: 768, heads: 12 },
  L: { depth: 24, width: 1024, heads: 16 },
  XL: { depth: 28, width: 1152, heads: 16 },
} as const;

const PATCHES = [2, 4, 8] as const;

export type SiTName = `SiT-${keyof typeof SIZES}/${(typeof PATCHES)[number]}`;

/** Every published model by name, from SiT-S/2 to SiT-XL/8. */
export const SIT_MODELS = Object.fromEntries(
  Object.entries(SIZES).flatMap(([size, settings]) =>
    PATCHES.map((patch) => [`SiT-${size}/${patch}`, { ...settings, patch }]),
  ),
) as Readonly<Record<SiTName, Pick<SiTSettings, 'patch' | 'width' | 'depth' | 'heads'>>>;

/**
 * Patch, width, depth and heads of a published model, for a pipeline's `model`.
 *
 * @example
 * model: { ...sitModel('SiT-B/4'), input: [32, 32, 4], classes: 1000 }
 *
 * @throws RepulsorError CONFIG for a name that is none
 */
export function sitModel(name: SiTName): Pick<SiTSettings, 'patch' | 'width' | 'depth' | 'heads'> {
  if (Object.hasOwn(SIT_MODELS, name)) return SIT_MODELS[name];
  throw new RepulsorError('CONFIG', `there is no model ${name}`, {
    hint: `the published ones are ${Object.keys(SIT_MODELS).join(', ')}`,
  });
}
