import type { Scalar, Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Random, Tensors } from '../engine/engine.ts';
import { project } from '../losses/projection.ts';
import { repulsion } from '../losses/repulsion.ts';
import { secondView } from '../losses/second-view.ts';
import { type KeysOf, spread } from '../losses/spread.ts';
import { countingMask, enqueue, type NegativeQueue, queueOf, validMask } from '../memory-bank/queue.ts';
import { joinLanes, lanesOf } from '../model/lanes.ts';
import type { ParameterLayout } from '../model/parameters.ts';
import { nullClass, type SiTInput, sitFeatures } from '../model/sit.ts';
import { PATHS } from '../transport/transport.ts';
import { drawTime } from './draw-time.ts';
import { halvesIn, unpackHalves } from './halves.ts';
import type { Pipeline } from './pipeline.ts';
import { blocksOf, hasSecondView, headOf, type RepulsionSettings, usesSlowCopy } from './repulsion-settings.ts';

/** What the repulsion is given at the beginning of a step, before the loss. */
export interface StepBegun {
  readonly state: Tensors;
  readonly inputs: Tensors;
  readonly random: Random;
  /** Of the view that is trained. */
  readonly input: SiTInput;
  readonly layout: ParameterLayout;
  /** Parts that the networks compute the batch in. */
  readonly lanes: number;
}

/** One step's repulsion: its loss inside of what is differentiated, then what becomes of the queue. */
export interface RepulsionStep {
  /** features: of each block, (B, N, D). The mean over the blocks; by-products are kept for `end`. */
  loss(features: readonly Tensor[], parameters: Tensors): { value: Scalar; byProducts: Tensors };
  /** `keys`, (B, d of all blocks), with a queue only. */
  end(byProducts: Tensors): { state: Tensors; report: Tensors; keys: Tensor2D | null };
}

/**
 * The repulsion of a step. A row of the queue holds a sample's keys of every block side by side, so that one queue,
 * one topic and one digest serve any number of blocks. Keys of the slow copy are made by the one before this step: they are
 * for the batch that the loss is about to see.
 */
export function beginRepulsion(pipeline: Pipeline, settings: RepulsionSettings, begun: StepBegun): RepulsionStep {
  const { state, inputs, input } = begun;
  const blocks = blocksOf(settings);
  const step = inputs['step'] as Scalar;
  const labels = inputs['labels'] as Tensor1D;
  const queue = settings.queue > 0 ? queueOf(state) : null;
  const mask = queue === null ? null : countingMask(queue, step, settings.maxAge);
  const made = ahead();

  return {
    loss(features, parameters) {
      const byProducts: Tensors = {};
      const values = blocks.map((block, i) => {
        const z = project(features[i], parameters, settings.projection, headOf(settings, block));
        const value = repulsion(
          {
            z,
            queue: queue && {
              rows: partOf(queue.rows, i, blocks.length),
              mask: mask!,
              weight: inputs['queueWeight'] as Scalar,
              labels: queue.labels,
            },
            unit: settings.projection.normalize,
            classes: settings.form.sameClass ? null : { labels, unknown: nullClass(pipeline.model) },
            positives: settings.form.kind === 'info-nce' ? made![i]! : null,
          },
          settings.form,
        );
        byProducts[`z.${block}`] = z;
        if (blocks.length > 1) byProducts[`repulsion.${block}`] = value;
        return value;
      });
      const value = values.length === 1 ? values[0]! : (tf.div(tf.addN(values), values.length) as Scalar);
      byProducts['repulsion'] = value;
      return { value, byProducts };
    },

    end(byProducts) {
      const report: Tensors = { repulsion: byProducts['repulsion']! };
      const zs = blocks.map((block) => byProducts[`z.${block}`] as Tensor2D);
      const keys = made ?? zs;
      for (const [i, block] of blocks.entries()) {
        const suffix = blocks.length > 1 ? `.${block}` : '';
        if (blocks.length > 1) report[`repulsion${suffix}`] = byProducts[`repulsion${suffix}`]!;
        const before = queue && { rows: partOf(queue.rows, i, blocks.length), mask: mask! };
        const shown = spread(zs[i]!, before, keysOf(keys[i]!), settings.projection.normalize);
        for (const [name, value] of Object.entries(shown)) report[name + suffix] = value;
      }
      const next: Tensors = {};
      if (queue === null) return { state: next, report, keys: null };
      const rows = keys.length === 1 ? keys[0]! : (tf.concat(keys, 1) as Tensor2D);
      Object.assign(next, enqueue(queue, rows, labels, step));
      Object.assign(report, ages(queueOf(next), step));
      return { state: next, report, keys: rows };
    },
  };

  function keysOf(keys: Tensor2D): KeysOf | null {
    if (hasSecondView(settings)) return { keys, of: 'second views' };
    return queue === null ? null : { keys, of: 'same inputs' };
  }

  /** The keys that do not come of the loss's own projections, by block; null where they do. */
  function ahead(): Tensor2D[] | null {
    const twoViews = hasSecondView(settings);
    if (!usesSlowCopy(settings) && !twoViews) return null;
    const halves = halvesIn(state, usesSlowCopy(settings) ? 'slow' : 'params');
    const parameters = unpackHalves(halves, begun.layout);
    const parts = lanesOf(twoViews ? second() : input, begun.lanes);
    const features = parts.map(({ part }) => sitFeatures(parameters, pipeline.model, part, blocks));
    return blocks.map((block, i) => {
      const ofBlock = joinLanes(features.map((of) => of[i]!));
      return project(ofBlock, parameters, settings.projection, headOf(settings, block));
    });
  }

  /** The second view: the images again, by another draw of noise, time and augmentation, under the same labels. */
  function second(): SiTInput {
    const { random } = begun;
    const images = secondView(inputs['images']!, settings.view, random);
    const t =
      settings.view.time === 'own' ? drawTime(pipeline.transport, random, 'view-time', images.shape[0]) : input.t;
    const noise = random.normal('view-noise', images.shape);
    return { x: PATHS[pipeline.transport.path].plan(noise, images, t).xt, t, labels: input.labels };
  }
}

/** The columns of one block among `of`, of rows that hold all blocks' keys side by side. */
function partOf(rows: Tensor2D, block: number, of: number): Tensor2D {
  const d = rows.shape[1] / of;
  return of === 1 ? rows : tf.slice(rows, [0, block * d], [-1, d]);
}

/** Mean and greatest age in steps of the valid rows; a row of this very step has age 0. */
function ages(queue: NegativeQueue, step: Scalar): Tensors {
  const mask = validMask(queue);
  const age = tf.mul(tf.cast(tf.sub(step, queue.steps), 'float32'), mask);
  return { ageMean: tf.div(tf.sum(age), tf.maximum(tf.sum(mask), 1)), ageMax: tf.max(age) };
}
