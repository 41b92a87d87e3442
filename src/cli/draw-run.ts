import { join } from 'node:path';
import { getState } from '../checkpoint/state-blobs.ts';
import { openEngine } from '../engine/choose.ts';
import type { EngineName } from '../engine/engine.ts';
import { drawGrid, type GridOptions } from '../sampling/draw-grid.ts';
import type { CommittedRun } from '../trainer/open-run.ts';
import { flatten } from '../trainer/state-blobs.ts';
import { trainLayout } from '../trainer/train-state.ts';
import type { Console } from './console.ts';

/** What `repulsor sample` does with an open run: draws from the averaged weights of its last commit. */
export async function drawRun(
  { pipeline, newest, store, folder }: CommittedRun,
  options: GridOptions & { readonly out?: string; readonly engine: EngineName | 'auto' },
  console: Console,
): Promise<void> {
  const { ema } = await getState(store, newest.commit.blobs, ['ema']);
  const parameters = flatten(ema, '', trainLayout(pipeline), 'the blob ema');
  const { engine, message, fellBack } = await openEngine({ name: options.engine });
  (fellBack ? console.warn : console.note)(message);
  try {
    const { step } = newest.commit;
    const out = options.out ?? join(folder.folder, `samples-${step}.png`);
    // A pipeline that draws none at its end says 0.
    const perLabel = options.perLabel ?? Math.max(1, pipeline.sampling.perLabel);
    const drawn = await drawGrid(engine, pipeline, parameters, out, { ...options, perLabel }, (done) =>
      console.note(`sampling: ${Math.round(100 * done)}%`),
    );
    console.result(
      { grid: out, step, engine: engine.name, ...drawn },
      `${drawn.images} samples of step ${step}: ${out}`,
    );
  } finally {
    engine.dispose();
  }
}
