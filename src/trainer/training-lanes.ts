import { cpuHasFastBfloat16 } from '../engine/native/bfloat16-speed.ts';
import type { Pipeline } from './pipeline.ts';

/**
 * Lanes to ask of an engine that trains (`EngineChoice.lanes`). Of a step's ops only the largest products are shared out among
 * threads to advantage, while two halves of the batch need nothing of each other until the loss; more than two only made ops
 * smaller. Where products are of bfloat16 by the hardware, ops run one after the other (src/engine/native/config.ts).
 */
export const trainingLanes = ({ precision }: Pick<Pipeline, 'precision'>): number =>
  precision === 'bf16' && cpuHasFastBfloat16() ? 1 : 2;
