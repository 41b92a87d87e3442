import type { StateBlobs } from '../checkpoint/state-blobs.ts';
import type { HostTensor } from '../engine/engine.ts';
import { parameterLayout } from '../model/parameters.ts';
import { type SiTSettings, sitSpecs } from '../model/sit.ts';
import { toBlobs } from '../trainer/state-blobs.ts';
import { checkPositions, checkShapes, officialShapes, POSITIONS, readFlat } from './official-names.ts';
import type { WeightsFile } from './weights-file.ts';

/** The blob that holds the file's own table of positions, where its last bits are not ours. */
export const POSITIONS_BLOB = 'positions';

/**
 * A file's weights as the blobs of a commit: `model` and `ema`. The optimizer's are not among them: training begins its
 * moments anew. Holds one set of weights in memory, two where the file has two.
 * @throws RepulsorError STATE_MISMATCH naming every tensor that does not fit, BAD_RECORD
 */
export async function importWeights(file: WeightsFile, model: SiTSettings): Promise<StateBlobs> {
  const layout = parameterLayout(sitSpecs(model));
  const shapes = officialShapes(layout, model);
  const sets = file.ema === file.model ? [file.model] : [file.model, file.ema];
  for (const set of sets) checkShapes(set, shapes, file.path);
  const flat = (data: Float32Array): HostTensor => ({ shape: [layout.size], dtype: 'float32', data });
  const params = flat(await readFlat(file.model, layout));
  const ema = sets.length === 1 ? params : flat(await readFlat(file.ema, layout));
  const table = await file.ema.get(POSITIONS)!.read();
  const same = checkPositions(table, model, file.path);
  return {
    ...toBlobs({ params, ema }, layout),
    ...(same
      ? {}
      : {
          [POSITIONS_BLOB]: { [POSITIONS]: { shape: shapes.get(POSITIONS)!, dtype: 'float32' as const, data: table } },
        }),
  };
}
