import type { Program } from '../engine/engine.ts';

/** Looks at the weights while they are trained, beside the steps. */
export interface Probe {
  /** After each step, before the next is asked for. It must be quick, and never throws. */
  afterStep(step: number, program: Pick<Program, 'snapshot'>): void;
  /** When no step is made any more: resolves when nothing is under way. */
  close(): Promise<void>;
}
