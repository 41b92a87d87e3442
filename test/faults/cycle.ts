import type { FaultKind } from './fault.ts';
import { damagedBlob, damagedChain, damagedSegment, damagedSettings } from './kinds/damage.ts';
import { killAtEffect, killAtFileOperation, killAtRequest, killInRecovery, killsInARow } from './kinds/kills.ts';

/** How often each kind comes in a cycle of the campaign. */
const SHARES: readonly (readonly [FaultKind, number])[] = [
  [killAtEffect('file'), 4],
  [killAtFileOperation('take-over'), 2],
  [killAtFileOperation('commit'), 6],
  [killAtFileOperation('removal of old blobs'), 1],
  [killInRecovery, 2],
  [killsInARow, 2],
  [killAtEffect('kafka'), 3],
  [killAtRequest, 4],
  [damagedBlob, 4],
  [damagedSegment, 4],
  [damagedChain, 2],
  [damagedSettings, 2],
];

/** One kind after the other, each spread evenly over the cycle: any part of a campaign tries all that it can. */
export const CYCLE: readonly FaultKind[] = SHARES.flatMap(([kind, times]) =>
  Array.from({ length: times }, (_, i) => ({ kind, at: (i + 0.5) / times })),
)
  .sort((a, b) => a.at - b.at)
  .map(({ kind }) => kind);
