import { RepulsorError } from '../../errors.ts';
import type { Engine } from '../engine.ts';

export async function openNativeEngine(_threads?: number): Promise<Engine> {
  throw new RepulsorError('ENGINE_UNAVAILABLE', 'the native engine is not built yet', { hint: 'choose --engine wasm' });
}
