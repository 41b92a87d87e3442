import { findRunFolder } from '../checkpoint/run-folder.ts';
import { runTopics } from '../checkpoint/run-id.ts';
import type { Log } from '../log/log.ts';
import { duration } from '../metrics/progress-format.ts';
import { escaped } from '../sweep/html-report.ts';
import type { Metric, RunResult } from '../sweep/results.ts';
import { meanAndSpread } from '../sweep/tables.ts';
import type { StatusLine } from './status-line.ts';
import type { SweepRun } from './sweep-run.ts';

/** A line that tells the committed steps of all runs, looked up in their journals now and then. */
export function watchProgress(
  log: Log,
  runs: readonly SweepRun[],
  results: ReadonlyMap<string, RunResult>,
  line: StatusLine,
): { end(): void } {
  const total = runs.reduce((sum, { pipeline }) => sum + (pipeline.steps ?? 0), 0);
  const begun = performance.now();
  let first: number | null = null;
  let looking = false;
  const look = async () => {
    if (looking) return;
    looking = true;
    let steps = 0;
    for (const run of runs) steps += results.get(run.name)?.steps ?? (await committedSteps(log, run.folder));
    first ??= steps;
    const seconds = (performance.now() - begun) / 1000;
    const left = steps > first ? ((total - steps) * seconds) / (steps - first) : null;
    const ended = `${results.size} of ${runs.length} runs done`;
    line.status(`${ended}, step ${steps} of ${total}${left === null || left < 0 ? '' : `, ${duration(left)} left`}`);
    looking = false;
  };
  const timer = setInterval(() => void look().catch(() => undefined), 2_000);
  return { end: () => clearInterval(timer) };
}

async function committedSteps(log: Log, folder: string): Promise<number> {
  const run = await findRunFolder(folder).catch(() => null);
  if (run === null) return 0;
  const { journal } = runTopics(run.run);
  return (await log.topics()).includes(journal) ? (await log.offsets(journal, 0)).end : 0;
}

/** What one run came to. */
export function runLine(result: RunResult, metrics: readonly Metric[], done: number, of: number): string {
  const count = `${done}/${of}`.padStart(2 * `${of}`.length + 1);
  if (result.error !== null) return `${count}  ${result.name}  failed: ${result.error}`;
  const values = metrics.flatMap((metric) => {
    const value = result.metrics[metric];
    return typeof value !== 'number'
      ? []
      : `${metric} ${meanAndSpread({ n: 1, mean: value, sd: null, least: value, most: value })}`;
  });
  const trap = escaped(result);
  return `${count}  ${result.name}  ${values.join('  ')}${trap === null ? '' : `  (${trap})`}`;
}
