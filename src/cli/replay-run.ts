import { openEngine } from '../engine/choose.ts';
import type { EngineWish } from '../engine/engine.ts';
import { EXIT } from '../errors.ts';
import type { MaxDeviation } from '../replay/compare.ts';
import { planReplay, type ReplayPlan } from '../replay/plan.ts';
import { type ReplayResult, replay } from '../replay/replay.ts';
import { engineIdentity, parseEngineIdentity } from '../trainer/engine-identity.ts';
import type { CommittedRun } from '../trainer/open-run.ts';
import type { Console } from './console.ts';
import type { ReplayOptions } from './replay.ts';
import { runReader } from './run-reader.ts';
import { stepProgress } from './step-progress.ts';

/** What `repulsor replay` does with an open run. Returns the exit status. */
export async function replayRun(committed: CommittedRun, options: ReplayOptions, console: Console): Promise<number> {
  const { log, store } = committed;
  const { run } = committed.folder;
  const plan = await planReplay({ log, store, run }, options);
  const recorded = [...new Set(plan.commits.map(({ commit }) => commit.engine))];
  const { engine, message } = await openEngine(engineLike(recorded[0], options));
  console.note(message);
  try {
    const here = engineIdentity(engine);
    const others = recorded.filter((identity) => identity !== here);
    for (const other of others)
      console.warn(`steps were trained with "${other}", and this is "${here}"${bitsMayDiffer(options)}`);
    if (plan.from !== (options.from ?? plan.from))
      console.note(`begins at step ${plan.from}, the newest commit before step ${options.from} whose weights are kept`);
    const progress = stepProgress(console, plan.to, false);
    const { tolerance = null } = options;
    let result: ReplayResult;
    try {
      const read = runReader(committed, committed.pipeline, console);
      result = await replay({ log, store, run, plan, engine, read, tolerance, onStep: progress.onStep });
    } finally {
      progress.end();
    }
    console.result(
      {
        run,
        log: log.url,
        from: plan.from,
        to: plan.to,
        identical_through: result.identicalThrough,
        diverged: result.diverged,
        steps: result.steps,
        commits: result.commits,
        tolerance,
        max_deviation: result.maxDeviation,
        engine: { here, recorded, same: others.length === 0 },
      },
      inWords(plan, tolerance, result),
    );
    // A record that is gone is no proof of another computation: nothing can be said of its step.
    if (result.diverged?.what === 'records') return EXIT.damaged;
    return result.diverged === null ? EXIT.done : EXIT.failed;
  } finally {
    engine.dispose();
  }
}

/** As the first of the commits was made, where nothing else was asked for: only that promises the same bits. */
function engineLike(recorded: string | undefined, { engine, threads }: ReplayOptions) {
  const trained = recorded === undefined ? null : parseEngineIdentity(recorded);
  const name: EngineWish = engine ?? trained?.name ?? 'auto';
  const isNative = name.startsWith('native') && trained?.name.startsWith('native') === true;
  const count = threads ?? (isNative ? trained.threads : undefined);
  return { name, ...(count !== undefined && { threads: count }), ...(isNative && { lanes: trained.lanes }) };
}

function bitsMayDiffer({ tolerance }: ReplayOptions): string {
  return tolerance === undefined ? ': bits may differ; --tolerance compares by value' : '';
}

function inWords({ from, to }: ReplayPlan, tolerance: number | null, result: ReplayResult): string {
  const { identicalThrough, diverged, steps, commits, maxDeviation } = result;
  const same = tolerance === null ? 'identical' : `within ${tolerance}`;
  const most = maxDeviation === null ? '' : `; largest deviations: ${deviationsInWords(maxDeviation)}`;
  const compared = `steps ${from + 1} to ${to} trained again, the state of ${commits} commit${commits === 1 ? '' : 's'} compared`;
  if (diverged === null)
    return `${same} through step ${identicalThrough}${steps > 0 ? ` (${compared})` : ': there is no step after it to train again'}${most}`;
  return `diverges at step ${diverged.step}, first in its ${diverged.what}: ${diverged.message}\n${same} through step ${identicalThrough}${most}`;
}

function deviationsInWords(max: MaxDeviation): string {
  const told = Object.entries(max).map(([kind, deviation]) =>
    deviation === null
      ? `${kind} not compared`
      : `${kind} ${deviation.value.toPrecision(3)} (${deviation.name}, step ${deviation.step})`,
  );
  return told.join(', ');
}
