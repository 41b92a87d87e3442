import type { Engine } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import type { Pipeline } from './pipeline.ts';

/**
 * bfloat16 is for speed: where it brings none, it must be wanted all the same (`forced`).
 * @throws RepulsorError CONFIG where it brings none, ENGINE_UNAVAILABLE where the engine has none
 */
export function demandPrecision({ precision }: Pipeline, { name, bfloat16 }: Engine, forced: boolean): void {
  if (precision === 'fp32' || bfloat16 === 'fast' || (bfloat16 === 'slow' && forced)) return;
  if (bfloat16 === 'none')
    throw new RepulsorError('ENGINE_UNAVAILABLE', `the ${name} engine has no bfloat16`, {
      hint: 'use the native engine, or --precision fp32',
    });
  throw new RepulsorError('CONFIG', 'bf16 is no faster than fp32 on this machine: its CPU has no AMX (amx_bf16)', {
    hint: 'use --precision fp32; --force-precision trains in bf16 all the same',
  });
}
