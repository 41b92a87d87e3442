import type { Scalar, Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { ProgramFunction, TensorSpec, Tensors } from '../engine/engine.ts';
import { flowMatching } from '../losses/flow-matching.ts';
import { project } from '../losses/projection.ts';
import { repulsion as repulsionLoss } from '../losses/repulsion.ts';
import { spread } from '../losses/spread.ts';
import { enqueue, queueOf, validMask } from '../memory-bank/queue.ts';
import { unpack } from '../model/parameters.ts';
import { nullClass, type SiTInput, sit, sitFeatures } from '../model/sit.ts';
import { adamwUpdate } from '../optim/adamw.ts';
import { clipByNorm, norm } from '../optim/clip.ts';
import { emaUpdate } from '../optim/ema.ts';
import { PATHS, trainInterval } from '../transport/transport.ts';
import { valueAndGradient } from './gradient.ts';
import type { Pipeline } from './pipeline.ts';
import { hasSlowCopy, trainLayout } from './train-state.ts';

/** The step's scalars come out as one vector; this is what each place holds. */
export function reportNames(pipeline: Pipeline): string[] {
  const always = ['total', 'flow', 'gradientNorm', 'parameterNorm'];
  const { repulsion } = pipeline.losses;
  if (repulsion === null) return always;
  const batch = [...always, 'repulsion', 'pairDistance', 'uniformity'];
  return repulsion.queue > 0 ? [...batch, 'drift', 'shift', 'similarity', 'ageMean', 'ageMax'] : batch;
}

/** What goes in each step besides the state. Scalars are computed on the host, in float64, by the schedules. */
export function stepInputs(pipeline: Pipeline): Record<string, TensorSpec> {
  const b = pipeline.operators.batch;
  return {
    images: { shape: [b, ...pipeline.model.input], dtype: 'float32' },
    labels: { shape: [b], dtype: 'int32' },
    step: { shape: [], dtype: 'int32' },
    learningRate: { shape: [], dtype: 'float32' },
    queueWeight: { shape: [], dtype: 'float32' },
  };
}

/**
 * One training step, pure: (state, batch, seed, step) -> (state, terms, keys). Noise, time and label dropout are drawn
 * from `random` by purpose; the loss comes first, then AdamW, the EMA, the slow copy, and last the queue takes the keys.
 * Outputs: `report`, the scalars named by `reportNames`, and (with a queue) `keys` (B, d).
 */
export function trainStep(pipeline: Pipeline): ProgramFunction {
  const layout = trainLayout(pipeline);
  const { model, transport, losses, optimizer } = pipeline;
  const { from, to } = trainInterval(transport);
  const settings = losses.repulsion;
  const slowCopy = hasSlowCopy(pipeline);

  return (state, inputs, random): { state: Tensors; outputs: Tensors } => {
    const images = inputs['images'];
    const step = inputs['step'] as Scalar;
    const b = images.shape[0];
    const unit = random.uniform('time', [b]) as Tensor1D;
    const t = from === 0 && to === 1 ? unit : (tf.add(tf.mul(unit, to - from), from) as Tensor1D);
    const noise = random.normal('noise', images.shape);
    const dropped = tf.less(random.uniform('label-dropout', [b]), losses.labelDropout);
    const labels = tf.where(dropped, tf.fill([b], nullClass(model), 'int32'), inputs['labels']) as Tensor1D;
    const { xt, velocity } = PATHS[transport.path].plan(noise, images, t);
    const input: SiTInput = { x: xt, t, labels };

    const queue = settings !== null && settings.queue > 0 ? queueOf(state) : null;
    const mask = queue === null ? null : validMask(queue);

    const loss = (flat: Tensor1D) => {
      const parameters = unpack(flat, layout);
      const { output, features } = sit(parameters, model, input, settings === null ? [] : [settings.block]);
      const flow = flowMatching(transport, output, { noise, velocity, t });
      if (settings === null) return { value: flow, byProducts: { flow } as Tensors };
      const z = project(features[0], parameters, settings.projection);
      const negatives =
        queue === null || mask === null ? null : { rows: queue.rows, mask, weight: inputs['queueWeight'] as Scalar };
      const repulsion = repulsionLoss(z, negatives, settings.form);
      const total = tf.add(flow, tf.mul(repulsion, settings.lambda)) as Scalar;
      return { value: total, byProducts: { flow, repulsion, z } as Tensors };
    };
    const { value: total, gradient, byProducts } = valueAndGradient(loss, state['params'] as Tensor1D);

    const gradientNorm = norm(gradient);
    const updated = adamwUpdate(
      clipByNorm(gradient, gradientNorm, optimizer.clip),
      { m: state['adam.m'] as Tensor1D, v: state['adam.v'] as Tensor1D },
      state['params'] as Tensor1D,
      inputs['learningRate'] as Scalar,
      tf.cast(step, 'float32'),
      optimizer,
    );
    const next: Tensors = {
      params: updated.parameters,
      'adam.m': updated.state.m,
      'adam.v': updated.state.v,
      ema: emaUpdate(state['ema'] as Tensor1D, updated.parameters, optimizer.ema),
    };

    const report: Tensors = {
      total,
      flow: byProducts['flow'],
      gradientNorm,
      parameterNorm: norm(updated.parameters),
    };
    if (settings === null) return { state: next, outputs: { report: stacked(report, pipeline) } };

    const z = byProducts['z'] as Tensor2D;
    report['repulsion'] = byProducts['repulsion'];
    if (queue === null || mask === null) {
      Object.assign(report, spread(z, null));
      return { state: next, outputs: { report: stacked(report, pipeline) } };
    }

    // The slow copy that makes the keys is the one before this step: its keys are for the batch the loss just saw.
    const keys = slowCopy ? slowKeys(state['slow'] as Tensor1D, input) : z;
    if (slowCopy && settings.keyMomentum !== null)
      next['slow'] = emaUpdate(state['slow'] as Tensor1D, updated.parameters, settings.keyMomentum);
    Object.assign(report, spread(z, { keys, rows: queue.rows, mask }));
    Object.assign(next, enqueue(queue, keys, inputs['labels'] as Tensor1D, step));
    Object.assign(report, ages(next['queue.steps'], validMask(queueOf(next)), step));
    return { state: next, outputs: { report: stacked(report, pipeline), keys } };

    function slowKeys(slow: Tensor1D, of: SiTInput): Tensor2D {
      const parameters = unpack(slow, layout);
      return project(sitFeatures(parameters, model, of, [settings!.block])[0], parameters, settings!.projection);
    }
  };
}

/** Mean and greatest age in steps of the valid rows; a row of this very step has age 0. */
function ages(steps: Tensor, mask: Tensor, step: Scalar): Record<string, Tensor> {
  const age = tf.mul(tf.cast(tf.sub(step, steps), 'float32'), mask);
  return { ageMean: tf.div(tf.sum(age), tf.maximum(tf.sum(mask), 1)), ageMax: tf.max(age) };
}

function stacked(report: Record<string, Tensor>, pipeline: Pipeline): Tensor {
  return tf.stack(reportNames(pipeline).map((name) => tf.reshape(report[name], [])));
}
