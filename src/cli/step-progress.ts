import { createProgress, type Progress } from '../metrics/progress.ts';
import type { Console } from './console.ts';

/** The progress of steps, for people on stderr; machines see none. `total`: null where nobody knows. `commits`: whether any are made. */
export function stepProgress({ json }: Console, total: number | null, commits: boolean): Progress {
  return createProgress({
    total,
    commits,
    stream: json ? { write: () => true } : process.stderr,
    isTTY: !json && process.stderr.isTTY === true,
  });
}
