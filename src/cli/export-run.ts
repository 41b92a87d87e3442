import { writeSafetensorsFile } from '../checkpoint/safetensors-file.ts';
import { getState } from '../checkpoint/state-blobs.ts';
import { openRun } from '../trainer/open-run.ts';
import { encodeWeights, officialState } from '../weights/export-weights.ts';
import { POSITIONS } from '../weights/official-names.ts';
import { POSITIONS_BLOB } from '../weights/weights-blobs.ts';
import type { Console } from './console.ts';
import type { ExportOptions } from './export.ts';

/** What `repulsor export` does: the weights of the last commit, in a file for other programs. */
export async function exportRun(folder: string, options: ExportOptions, console: Console): Promise<void> {
  const { pipeline, newest, store, log, folder: run } = await openRun(folder, options.log);
  try {
    const { step, blobs } = newest.commit;
    const names = options.weights === 'both' ? ['model', 'ema'] : [options.weights];
    const positions = blobs.filter(({ name }) => name === POSITIONS_BLOB).map(({ name }) => name);
    const state = await getState(store, blobs, { names: [...names, ...positions] });
    const table = (state[POSITIONS_BLOB]?.[POSITIONS]?.data ?? null) as Float32Array | null;
    const sets = names.map((name) => [name, officialState(state[name]!, pipeline.model, table)] as const);
    const { timeScale } = pipeline.model;
    if (timeScale !== 1)
      console.warn(`the official code does not scale time: multiply t by ${timeScale} before this model's sinusoid`);
    const content = encodeWeights(Object.fromEntries(sets), options.format, { run: run.run, step: String(step) });
    await writeSafetensorsFile(options.out, content);
    console.result(
      { out: options.out, run: run.run, step, format: options.format, weights: options.weights, bytes: content.bytes },
      `the weights of step ${step}: ${options.out} (${(content.bytes / 1e6).toFixed(1)} MB)`,
    );
  } finally {
    await log.close();
  }
}
