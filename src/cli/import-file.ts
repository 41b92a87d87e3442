import { RepulsorError } from '../errors.ts';
import { parseLogUrl } from '../log/log-url.ts';
import { openLog } from '../log/open-log.ts';
import { sitLayout } from '../model/sit.ts';
import { sitModel } from '../model/sizes.ts';
import { checkPipeline } from '../trainer/check-pipeline.ts';
import { definePipeline } from '../trainer/pipeline.ts';
import { importRun } from '../weights/import-run.ts';
import { PUBLISHED } from '../weights/import-weights.ts';
import { modelOf } from '../weights/official-names.ts';
import { openWeights } from '../weights/open-weights.ts';
import type { Console } from './console.ts';
import type { ImportOptions } from './import.ts';
import { withOverrides } from './load-pipeline.ts';

/** What `repulsor import` does: a run whose one commit, of step 0, holds the file's weights. */
export async function importFile(path: string, options: ImportOptions, console: Console): Promise<void> {
  const file = await openWeights(path);
  try {
    const size = sitModel(options.model);
    const pipeline = checkPipeline(
      withOverrides(
        definePipeline({
          name: options.model.toLowerCase().replace('/', '-'),
          // A run of weights reads no topic; another run begins with it.
          source: { topic: 'none' },
          model: { ...size, ...(modelOf(file.model, size.patch) ?? PUBLISHED) },
          losses: { repulsion: null },
        }),
        options.set ?? [],
      ),
      'what was asked for',
    );
    if (pipeline.losses.repulsion !== null)
      throw new RepulsorError('USAGE', 'a file of weights has no projection: losses.repulsion stays null', {
        hint: 'the run that begins with it (repulsor train) has its own',
      });
    console.note(`reading ${path}`);
    const address = parseLogUrl(options.log);
    const log = await openLog(options.log);
    try {
      const { run, bytes } = await importRun(file, pipeline, options.to, log);
      const { size: parameters } = sitLayout(pipeline.model);
      const sets = file.ema === file.model ? 'one set' : 'weights and averaged weights';
      console.result(
        {
          run: run.run,
          folder: options.to,
          log: address.url,
          model: options.model,
          parameters,
          bytes,
          settings: pipeline.model,
        },
        `${parameters} parameters, ${sets}, are step 0 of the run ${run.run} in ${options.to}`,
      );
    } finally {
      await log.close();
    }
  } finally {
    await file.close();
  }
}
