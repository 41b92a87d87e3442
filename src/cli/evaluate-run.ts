import { openEngine } from '../engine/choose.ts';
import { isSampleMetric } from '../evaluation/measure.ts';
import { isRepresentationMetric } from '../evaluation/representation.ts';
import { checkPipeline } from '../trainer/check-pipeline.ts';
import { openRun } from '../trainer/open-run.ts';
import type { Console } from './console.ts';
import type { EvaluateOptions } from './evaluate.ts';
import { evaluateRepresentation, representationInWords } from './evaluate-representation.ts';
import { evaluateSamples, planSamples } from './evaluate-samples.ts';
import { withOverrides } from './load-pipeline.ts';

/**
 * What `repulsor evaluate RUN` does: measures what the run draws against a reference, `asked` or the topic by which the run is
 * measured; and the features of a block. Nothing is drawn, and no reference is needed, where only features are asked for.
 */
export async function evaluateRun(
  folder: string,
  asked: string | null,
  options: EvaluateOptions,
  console: Console,
): Promise<void> {
  const run = await openRun(folder, options.log);
  try {
    const pipeline = checkPipeline(withOverrides(run.pipeline, options.overrides), 'what was asked for');
    const plan = options.metrics.some(isSampleMetric)
      ? await planSamples(run, pipeline, asked, options, console)
      : null;
    try {
      const { engine, message, fellBack } = await openEngine({ name: options.engine });
      (fellBack ? console.warn : console.note)(message);
      try {
        const features = options.metrics.filter(isRepresentationMetric);
        const representation =
          features.length === 0 ? null : await evaluateRepresentation(engine, run, pipeline, features, console);
        const samples = plan === null ? null : await evaluateSamples(engine, plan, console);
        const { step } = run.newest.commit;
        console.result(
          {
            ...{ run: run.folder.run, step, engine: engine.name },
            ...samples?.result,
            ...(representation && { ...representation.found, representation_of: representation.of }),
          },
          [samples?.text, representation && representationInWords(step, representation)].filter(Boolean).join('\n'),
        );
      } finally {
        engine.dispose();
      }
    } finally {
      await plan?.decoding?.close();
    }
  } finally {
    await run.log.close();
  }
}
