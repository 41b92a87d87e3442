import { RepulsorError } from '../errors.ts';

/** A file of weights that is not what it should be. */
export function badWeights(where: string, what: string, hint: string, cause?: unknown): RepulsorError {
  return new RepulsorError('BAD_RECORD', `${where}: ${what}`, { hint, cause });
}
