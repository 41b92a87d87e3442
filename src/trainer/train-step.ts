import type { Scalar, Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { UNIT } from '../codec/unit-pixels.ts';
import type { InputSpec, ProgramFunction, Tensors } from '../engine/engine.ts';
import { flowMatching } from '../losses/flow-matching.ts';
import { joinLanes, lanesOf } from '../model/lanes.ts';
import { nullClass, type SiTInput, sit } from '../model/sit.ts';
import { norm } from '../optim/clip.ts';
import { PATHS } from '../transport/transport.ts';
import { drawTime } from './draw-time.ts';
import { valueAndGradients } from './gradient.ts';
import { halvesIn, unpackHalves } from './halves.ts';
import { optimizerStep } from './optimizer-step.ts';
import type { Pipeline } from './pipeline.ts';
import { blocksOf, hasSecondView } from './repulsion-settings.ts';
import { beginRepulsion } from './repulsion-step.ts';
import { trainLayout } from './train-state.ts';

/** The step's scalars come out as one vector; this is what each place holds. Of several blocks each has its own, NAME.BLOCK. */
export function reportNames(pipeline: Pipeline): string[] {
  const always = ['total', 'flow', 'gradientNorm', 'parameterNorm'];
  const { repulsion } = pipeline.losses;
  if (repulsion === null) return always;
  const blocks = blocksOf(repulsion);
  const { queue } = repulsion;
  const toKeys = hasSecondView(repulsion) ? ['positiveDistance'] : queue > 0 ? ['drift'] : [];
  const ofBlock = ['pairDistance', 'uniformity', ...toKeys, ...(queue > 0 ? ['shift', 'similarity'] : [])];
  const ages = queue > 0 ? ['ageMean', 'ageMax'] : [];
  if (blocks.length === 1) return [...always, 'repulsion', ...ofBlock, ...ages];
  const named = blocks.flatMap((block) => ['repulsion', ...ofBlock].map((name) => `${name}.${block}`));
  return [...always, 'repulsion', ...named, ...ages];
}

/**
 * From a table: a graph's optimizers make a division by 127.5 a multiplication by its reciprocal, which rounds otherwise than
 * the host does for half of the bytes.
 */
const unitPixelsOnDevice = (bytes: Tensor): Tensor => tf.gather(tf.tensor1d(UNIT), bytes as Tensor1D);

/** What goes in each step besides the state. Scalars are computed on the host, in float64, by the schedules. */
export function stepInputs(pipeline: Pipeline): Record<string, InputSpec> {
  const b = pipeline.operators.batch;
  return {
    images: { shape: [b, ...pipeline.model.input], dtype: 'float32', ofBytes: unitPixelsOnDevice },
    labels: { shape: [b], dtype: 'int32' },
    step: { shape: [], dtype: 'int32' },
    learningRate: { shape: [], dtype: 'float32' },
    queueWeight: { shape: [], dtype: 'float32' },
  };
}

/**
 * One training step, pure: (state, batch, seed, step) -> (state, terms, keys). Noise, time and label dropout are drawn
 * from `random` by purpose; the loss comes first, then AdamW, the EMA, the slow copy, and last the queue takes the keys.
 * The networks compute the batch in so many `lanes` (src/model/lanes.ts).
 * Outputs: `report`, the scalars named by `reportNames`, and (with a queue) `keys` (B, d of all blocks).
 */
export function trainStep(pipeline: Pipeline, lanes = 1): ProgramFunction {
  const layout = trainLayout(pipeline);
  const { model, transport, losses } = pipeline;
  const settings = losses.repulsion;

  return (state, inputs, random): { state: Tensors; outputs: Tensors } => {
    const images = inputs['images'];
    const step = inputs['step'] as Scalar;
    const b = images.shape[0];
    const t = drawTime(transport, random, 'time', b);
    const noise = random.normal('noise', images.shape);
    const dropped = tf.less(random.uniform('label-dropout', [b]), losses.labelDropout);
    const labels = tf.where(dropped, tf.fill([b], nullClass(model), 'int32'), inputs['labels']) as Tensor1D;
    const { xt, velocity } = PATHS[transport.path].plan(noise, images, t);
    const input: SiTInput = { x: xt, t, labels };

    const repulsion =
      settings === null ? null : beginRepulsion(pipeline, settings, { state, inputs, random, input, layout, lanes });

    const taps = settings === null ? [] : blocksOf(settings);
    // Each has its own part of the flow loss, so that none waits for another between its forward and its backward pass.
    const parts = lanesOf({ ...input, noise, velocity }, lanes);
    const loss = (...halves: Tensor1D[]) => {
      const parameters = unpackHalves(halves, layout);
      const computed = parts.map(({ part, share }) => {
        const { output, features } = sit(parameters, model, part, taps);
        return { flow: tf.mul(flowMatching(output, part, transport), share), features };
      });
      const flow = computed.map((of) => of.flow).reduce((sum, of) => tf.add(sum, of)) as Scalar;
      if (settings === null || repulsion === null) return { value: flow, byProducts: { flow } as Tensors };
      const features = taps.map((_, i) => joinLanes(computed.map((of) => of.features[i]!)));
      const { value, byProducts } = repulsion.loss(features, parameters);
      const total = tf.add(flow, tf.mul(value, settings.lambda)) as Scalar;
      return { value: total, byProducts: { flow, ...byProducts } as Tensors };
    };
    const { value: total, gradients, byProducts } = valueAndGradients(loss, halvesIn(state, 'params'));

    const gradientNorm = norm(gradients);
    const next = optimizerStep(pipeline, state, gradients, gradientNorm, inputs['learningRate'] as Scalar, step);

    const report: Tensors = {
      total,
      flow: byProducts['flow'],
      gradientNorm,
      parameterNorm: norm(halvesIn(next, 'params')),
    };
    if (repulsion === null) return { state: next, outputs: { report: stacked(report, pipeline) } };
    const ended = repulsion.end(byProducts);
    const outputs: Tensors = { report: stacked({ ...report, ...ended.report }, pipeline) };
    if (ended.keys !== null) outputs['keys'] = ended.keys;
    return { state: { ...next, ...ended.state }, outputs };
  };
}

function stacked(report: Record<string, Tensor>, pipeline: Pipeline): Tensor {
  return tf.stack(reportNames(pipeline).map((name) => tf.reshape(report[name], [])));
}
