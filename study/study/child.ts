/** A process of the study: trains the run that its argument describes and measures it, and tells on stdout how it goes. */

import { tellError } from '../../src/cli/console.ts';
import { interruption } from '../../src/cli/interruption.ts';
import { openEngine } from '../../src/engine/choose.ts';
import { EXIT } from '../../src/errors.ts';
import { measureTask } from './measure-task.ts';
import { pipelineOf, type Task } from './plan.ts';
import type { Measurement } from './results.ts';
import { trainTask } from './train-task.ts';

/** A line of its stdout. */
export type Said =
  | { readonly step: number }
  | { readonly measured: Measurement }
  | { readonly error: { readonly message: string } };

const { task, missing } = JSON.parse(process.argv[2]!) as { task: Task; missing: number[] };
const say = (line: Said) => void process.stdout.write(`${JSON.stringify(line)}\n`);
const onWarning = (line: string) => void process.stderr.write(`warning: ${task.name}: ${line}\n`);
// Whoever reads is gone: nobody wants it any more.
process.stdout.on('error', () => process.exit(EXIT.failed));

try {
  process.exitCode = await run();
} catch (error) {
  process.exitCode = tellError(error, true);
}

async function run(): Promise<number> {
  const interrupt = interruption('', () => undefined, 500);
  const { engine, message, fellBack } = await openEngine({ name: 'auto', threads: task.threads });
  if (fellBack) onWarning(message);
  try {
    const pipeline = await pipelineOf(task);
    const { signal } = interrupt;
    let told = 0;
    const onStep = (step: number) => {
      if (performance.now() - told < 1_000) return;
      told = performance.now();
      say({ step });
    };
    if (!(await trainTask({ task, pipeline, engine, signal, onStep, onWarning }))) return EXIT.interrupted;
    say({ step: task.steps });
    for await (const measured of measureTask(engine, pipeline, task, missing)) {
      say({ measured });
      if (signal.aborted) return EXIT.interrupted;
    }
    return EXIT.done;
  } finally {
    interrupt.restore();
    engine.dispose();
  }
}
