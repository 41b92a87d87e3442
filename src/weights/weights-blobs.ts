import type { StateBlobs } from '../checkpoint/state-blobs.ts';
import { views } from '../model/parameters.ts';
import { sitLayout } from '../model/sit.ts';
import type { Weights } from './import-weights.ts';
import { officialShapes, POSITIONS } from './official-names.ts';

/** The blob that holds an imported file's own table of positions. */
export const POSITIONS_BLOB = 'positions';

/**
 * Weights as the blobs of a commit: `model` and `ema`. The optimizer's are not among them: training begins its moments anew.
 */
export function weightsBlobs({ model, parameters, ema, positions }: Weights): StateBlobs {
  const layout = sitLayout(model);
  const blobs = { model: views(parameters, layout), ema: views(ema, layout) };
  if (positions === null) return blobs;
  const shape = officialShapes(layout, model).get(POSITIONS)!;
  return { ...blobs, [POSITIONS_BLOB]: { [POSITIONS]: { shape, dtype: 'float32', data: positions } } };
}
