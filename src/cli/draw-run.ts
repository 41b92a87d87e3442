import { join } from 'node:path';
import { getState } from '../checkpoint/state-blobs.ts';
import { openEngine } from '../engine/choose.ts';
import type { EngineWish } from '../engine/engine.ts';
import { draw } from '../sampling/draw.ts';
import { demandPicture, writeGrid } from '../sampling/grid.ts';
import { type ArrayLayout, readNoise, writeSamples } from '../sampling/sample-file.ts';
import type { CommittedRun } from '../trainer/open-run.ts';
import { flatten } from '../trainer/state-blobs.ts';
import { trainLayout } from '../trainer/train-state.ts';
import type { Console } from './console.ts';
import type { Decoding } from './decoding.ts';

export interface DrawRunOptions {
  readonly labels?: readonly number[];
  readonly perLabel?: number;
  readonly seed?: number;
  /** PNG, or raw arrays where it ends so. */
  readonly out?: string;
  /** A file of noise. */
  readonly noise?: string;
  readonly layout?: ArrayLayout;
}

const RAW = '.safetensors';

/** What `repulsor sample` does with an open run: draws from the averaged weights of its last commit. */
export async function drawRun(
  { pipeline, newest, store, folder }: CommittedRun,
  options: DrawRunOptions & { readonly engine: EngineWish; readonly decoding: Decoding | null },
  console: Console,
): Promise<void> {
  const { step, blobs } = newest.commit;
  const { model, sampling } = pipeline;
  const out = options.out ?? join(folder.folder, `samples-${step}.png`);
  // Asked before anything is drawn.
  if (!out.endsWith(RAW) && options.decoding === null) demandPicture(model.input);
  const given = options.noise === undefined ? null : await readNoise(options.noise, model.input, options.layout);
  const { ema } = await getState(store, blobs, { names: ['ema'] });
  const parameters = flatten(ema, '', trainLayout(pipeline), 'the blob ema');
  const { engine, message, fellBack } = await openEngine({ name: options.engine });
  (fellBack ? console.warn : console.note)(message);
  try {
    // A pipeline that draws none at its end says 0; raw arrays are one a label, as they are asked for.
    const perLabel = options.perLabel ?? (out.endsWith(RAW) ? 1 : Math.max(1, sampling.perLabel));
    const { labels, seed } = options;
    const drawing = await draw(
      engine,
      pipeline,
      parameters,
      {
        ...(labels && { labels }),
        ...(given === null || options.perLabel !== undefined ? { perLabel } : {}),
        ...(seed !== undefined && { seed }),
        ...(given && { noise: given.noise }),
      },
      (done) => console.note(`sampling: ${Math.round(100 * done)}%`),
    );
    const how = { solver: sampling.solver, steps: sampling.steps, guidance: sampling.guidance, seed: drawing.seed };
    if (out.endsWith(RAW)) {
      const about = { run: folder.run, step, ...how, range: 'as the model is trained: bytes [-1, 1], latents scaled' };
      const texts = Object.entries(about).map(([name, value]) => [name, String(value)]);
      const layout = options.layout ?? given?.layout ?? 'nhwc';
      await writeSamples(out, drawing, model.input, layout, Object.fromEntries(texts));
    } else {
      const asTrained = { images: drawing.images, shape: model.input };
      const { images, shape } = (await options.decoding?.decode(drawing.images, pipeline)) ?? asTrained;
      await writeGrid(out, images, { shape, columns: drawing.perLabel });
    }
    const images = drawing.labels.length;
    console.result(
      { out, step, images, engine: engine.name, ...how, evaluations: drawing.evaluations },
      `${images} samples of step ${step}: ${out}`,
    );
  } finally {
    engine.dispose();
  }
}
