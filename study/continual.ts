import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import type { Console } from '../src/cli/console.ts';
import { evaluateRun } from '../src/cli/evaluate-run.ts';
import { wholeNumber } from '../src/cli/options.ts';
import { runTraining } from '../src/cli/training.ts';
import { EXIT, RepulsorError } from '../src/errors.ts';
import { digits } from '../src/ingest/digits.ts';
import { inTurns } from '../src/ingest/in-turns.ts';
import { ingest } from '../src/ingest/ingest.ts';
import { openLog } from '../src/log/open-log.ts';
import { forgettingPlot } from './continual/plot.ts';
import { classTable, type Measurement, nameOf, outcomeOf, outcomeTable, type Variant } from './continual/results.ts';
import { imagesOfTurn, pipelineOf, TURNS, topicOf } from './continual/settings.ts';

interface Options {
  readonly steps: number;
  readonly seeds: number;
  readonly samples: number;
  readonly shares: number[];
  readonly queues: Variant['queue'][];
  readonly out: string;
  readonly quick?: boolean;
}

const QUICK = { steps: 20, samples: 10 };

const program = new Command('continual')
  .description(
    'what a model forgets of a stream whose classes come in turn, with and without a queue and a share of old samples',
  )
  .option('--steps <n>', 'of each turn', wholeNumber(1), 400)
  .option('--seeds <n>', 'runs of each variant', wholeNumber(1), 1)
  .option('--samples <n>', 'drawn of each class', wholeNumber(2), 100)
  .option('--shares <list>', 'of samples from the archive', (text) => text.split(',').map(Number), [0, 0.25, 0.5])
  .option('--queues <list>', 'none, queue or both', (text) => text.split(',') as Variant['queue'][], ['none', 'queue'])
  .option('--out <dir>', 'holds the log, the runs and the results', 'runs/continual')
  .option('--quick', `see that it works: ${QUICK.steps} steps a turn, ${QUICK.samples} samples of each class`)
  .addHelpText(
    'after',
    '\nCut off, the same command goes on. Example:\n  npm run continual -- --quick --out runs/continual-quick',
  )
  .action((options: Options) => study({ ...options, ...(options.quick && QUICK) }));

await program.parseAsync();

/** Every variant and seed, turn by turn; what is measured already is not measured again. */
async function study({ steps, seeds, samples, shares, queues, out }: Options): Promise<void> {
  await mkdir(out, { recursive: true });
  await demandSame(join(out, 'study.json'), JSON.stringify({ steps, samples }));
  const log = `file:${join(out, 'log')}`;
  const file = join(out, 'results.jsonl');
  const measured = await readResults(file);
  const variants = queues.flatMap((queue) => shares.map((share): Variant => ({ queue, share })));
  await fill(log, steps, shares);
  // Turn by turn over all runs: cut off anywhere, what there is compares.
  for (let seed = 0; seed < seeds; seed++)
    for (const turn of TURNS.keys())
      for (const variant of variants) {
        const isThis = (one: Measurement) => one.seed === seed && one.turn === turn && nameOf(one) === nameOf(variant);
        if (measured.some(isThis)) continue;
        const found = await measure(variant, { seed, turn, steps, samples, log, out });
        if (found === null) return; // interrupted, with a commit
        measured.push(found);
        await appendFile(file, `${JSON.stringify(found)}\n`);
        const told = Object.entries(found.fid).map(([label, fid]) => `${label}: ${fid.toFixed(0)}`);
        process.stderr.write(`${nameOf(variant)}, seed ${seed}, after turn ${turn}: FID ${told.join(', ')}\n`);
      }
  const wanted = measured.filter(
    (one) => one.seed < seeds && variants.some((variant) => nameOf(variant) === nameOf(one)),
  );
  await writeFile(join(out, 'forgetting.svg'), forgettingPlot(wanted, TURNS));
  const outcomes = variants.flatMap((variant) =>
    Array.from({ length: seeds }, (_, seed) =>
      outcomeOf(
        wanted.filter((one) => nameOf(one) === nameOf(variant) && one.seed === seed),
        TURNS,
      ),
    ).filter((outcome) => outcome !== null),
  );
  const tables = variants.map((variant) => {
    const of = wanted.filter((one) => nameOf(one) === nameOf(variant));
    return `${nameOf(variant)}: FID of each class after each turn\n\n${classTable(of, TURNS)}`;
  });
  const text = [outcomeTable(outcomes), ...tables].join('\n\n');
  await writeFile(join(out, 'results.md'), `${text}\n`);
  process.stdout.write(`${text}\n`);
}

/** Trains a run to the end of a turn, and measures the classes that it has seen. Null when it was interrupted. */
async function measure(
  variant: Variant,
  at: { seed: number; turn: number; steps: number; samples: number; log: string; out: string },
): Promise<Measurement | null> {
  const { seed, turn, steps, samples, log, out } = at;
  const pipeline = pipelineOf(variant, { seed, log, stepsPerTurn: steps, turn });
  const folder = join(out, pipeline.name);
  if ((await runTraining(pipeline, { run: folder, engine: 'auto' }, quiet())) === EXIT.interrupted) return null;
  const labels = TURNS.slice(0, turn + 1).flat();
  const said = quiet();
  const asked = { metrics: ['fid'], perClass: true, kid: null, extractor: 'digits', onnxRange: 'signed' } as const;
  const drawn = { samples: samples * labels.length, labels, seed: 0, engine: 'auto', overrides: [] } as const;
  await evaluateRun(folder, 'digits', { ...asked, ...drawn }, said);
  const { step, per_class } = said.said as { step: number; per_class: Record<string, { fid: number }> };
  const fid = Object.fromEntries(Object.entries(per_class).map(([label, of]) => [label, of.fid]));
  return { ...variant, seed, turn, step, fid };
}

/** The reference, and a stream for each share. */
async function fill(url: string, steps: number, shares: readonly number[]): Promise<void> {
  const log = await openLog(url);
  try {
    const streams = shares.map((share) => ({
      topic: topicOf(steps, share),
      source: inTurns(digits(), { turns: TURNS, perTurn: imagesOfTurn(steps, share) }),
    }));
    for (const { topic, source } of [{ topic: 'digits', source: digits() }, ...streams]) {
      await log.createTopic(topic);
      await ingest(log, topic, source, { time: Date.now(), atomic: true, ifEmpty: true });
    }
  } finally {
    await log.close();
  }
}

/** What one command says is another's input here. */
function quiet(): Console & { said: object } {
  const kept = {
    json: true,
    said: {} as object,
    note: () => undefined,
    warn: (line: string) => void process.stderr.write(`warning: ${line}\n`),
    result: (value: object) => {
      kept.said = value;
    },
  };
  return kept;
}

async function readResults(file: string): Promise<Measurement[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line) as Measurement);
}

async function demandSame(file: string, settings: string): Promise<void> {
  const before = await readFile(file, 'utf8').catch(() => null);
  if (before === null) return writeFile(file, settings);
  if (before === settings) return;
  throw new RepulsorError('USAGE', `${file} says ${before}, but asked for is ${settings}`, {
    hint: 'figures of unequal steps or samples do not compare: name another folder with --out',
  });
}
