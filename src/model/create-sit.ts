import { RepulsorError } from '../errors.ts';
import { initialParameters, views } from './parameters.ts';
import { DEFAULT_SIT, type SiTSettings, sitLayout } from './sit.ts';
import { sitContradictions } from './sit-contradictions.ts';

/** A model on the host: what it is, and all its parameters. */
export interface SiT {
  readonly model: SiTSettings;
  /** float32, all parameters side by side in the order of `sitLayout`. */
  readonly parameters: Float32Array;
}

/** Without what the official models have in common (`DEFAULT_SIT`). */
export type SiTInputSettings = Omit<SiTSettings, keyof typeof DEFAULT_SIT> &
  Partial<Pick<SiTSettings, keyof typeof DEFAULT_SIT>>;

/**
 * A SiT as training begins with it (Peebles and Xie 2023, adaLN-Zero): a pure function of settings and seed, whose output is zero.
 * @throws RepulsorError CONFIG naming every setting that cannot be used
 *
 * @example
 * createSiT({ ...sitModel('SiT-B/4'), input: [32, 32, 4], classes: 1000 }, 0);
 */
export function createSiT(settings: SiTInputSettings, seed: number): SiT {
  const model: SiTSettings = { ...DEFAULT_SIT, ...settings };
  const problems = sitContradictions(model);
  if (problems.length > 0)
    throw new RepulsorError('CONFIG', `there is no such SiT:\n  ${problems.join('\n  ')}`, {
      hint: 'correct the settings; sitModel(NAME) has those of the published sizes',
    });
  return { model, parameters: initialParameters(sitLayout(model), seed) };
}

/** The parameters by their official names, each in its shape: views of `parameters`, not copies. */
export function namedParameters({ model, parameters }: SiT): ReturnType<typeof views> {
  return views(parameters, sitLayout(model));
}
