import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { folderWitness } from '../../src/checkpoint/commit-witness.ts';
import { openStore } from '../../src/checkpoint/open-store.ts';
import { encodeSafetensors } from '../../src/checkpoint/safetensors.ts';
import { writeSafetensorsFile } from '../../src/checkpoint/safetensors-file.ts';
import { openOrCreateRun } from '../../src/cli/open-or-create-run.ts';
import type { Engine, HostTensor } from '../../src/engine/engine.ts';
import { openProbe } from '../../src/evaluation/representation-probe.ts';
import { openLog } from '../../src/log/open-log.ts';
import { halfNames, joinHalves } from '../../src/trainer/halves.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import type { Probe } from '../../src/trainer/probe.ts';
import { train } from '../../src/trainer/trainer.ts';
import type { Task } from './plan.ts';
import { noteSeen } from './seen.ts';

/** The averaged weights at a mark. */
export const weightsAt = (folder: string, step: number): string => join(folder, `ema-${step}.safetensors`);

export interface TrainingOfTask {
  readonly task: Task;
  readonly pipeline: Pipeline;
  readonly engine: Engine;
  readonly signal: AbortSignal;
  readonly onStep: (step: number) => void;
  readonly onWarning: (line: string) => void;
}

/** Trains a run to its end, from its last commit where it was cut off, and keeps its weights at each mark. False: interrupted. */
export async function trainTask({
  task,
  pipeline,
  engine,
  signal,
  onStep,
  onWarning,
}: TrainingOfTask): Promise<boolean> {
  const { folder, marks } = task;
  if (marks.every((mark) => existsSync(weightsAt(folder, mark)))) return true;
  await mkdir(folder, { recursive: true });
  const log = await openLog(pipeline.log);
  try {
    const described = await openOrCreateRun(folder, log, pipeline);
    const seen = noteSeen(folder, marks, (pipeline.losses.repulsion?.queue ?? 0) > 0);
    // It is asked at the marks alone.
    const measured = { ...pipeline, evaluation: { ...pipeline.evaluation, everySteps: 1 } };
    const features = openProbe({ pipeline: measured, log, engine, onReport: seen.onEvaluation, onWarning });
    const { ended, ema } = await train({
      ...{ pipeline, log, engine, signal, run: described.run },
      store: await openStore(described.blobs),
      witness: folderWitness(folder),
      probe: keepingWeights(folder, marks, features),
      observer: {
        onStep(report) {
          seen.onStep(report);
          onStep(report.step);
        },
        onWarning,
      },
    });
    if (ended === 'interrupted') return false;
    // A process that died after the last commit may not have come to it.
    await writeWeights(weightsAt(folder, marks.at(-1)!), ema);
    return true;
  } finally {
    await log.close();
  }
}

/** `inner`, and the weights of each mark into a file, beside the steps. */
function keepingWeights(folder: string, marks: readonly number[], inner: Probe | null): Probe {
  const writing: Promise<void>[] = [];
  return {
    afterStep(step, program) {
      if (!marks.includes(step)) return;
      inner?.afterStep(step, program);
      const held = program.snapshot(halfNames('ema'));
      const write = async () => {
        const { tensors, release } = await held;
        const ema = joinHalves(tensors, 'ema');
        release();
        await writeWeights(weightsAt(folder, step), ema);
      };
      const written = write();
      written.catch(() => undefined); // Heard when it is closed.
      writing.push(written);
    },
    async close() {
      await inner?.close();
      await Promise.all(writing);
    },
  };
}

const writeWeights = (file: string, ema: HostTensor): Promise<void> =>
  writeSafetensorsFile(file, encodeSafetensors({ ema }));
