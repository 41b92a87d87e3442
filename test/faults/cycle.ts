import type { FaultKind } from './fault.ts';
import { damagedBlob, damagedChain, damagedSegment, damagedSettings } from './kinds/damage.ts';
import { failingFileOperation, fullDisk, readOnlyFolder } from './kinds/failures.ts';
import { killAtEffect, killAtFileOperation, killAtRequest, killInRecovery, killsInARow } from './kinds/kills.ts';
import { badNetwork, brokerKilled, cutOffAndTakenOver } from './kinds/network.ts';
import {
  trainerDamaged,
  trainerFullDisk,
  trainerKilled,
  trainerKilledAtRequest,
  trainerStopped,
} from './kinds/trainers.ts';
import {
  lateRequest,
  pausedBeyondTimeout,
  stoppedAtEffect,
  stoppedAtFileOperation,
  threeWayContest,
} from './kinds/zombies.ts';

/** How often each kind comes in a cycle of the campaign. */
const SHARES: readonly (readonly [FaultKind, number])[] = [
  [killAtEffect('file'), 3],
  [killAtFileOperation('take-over'), 2],
  [killAtFileOperation('commit'), 4],
  [killAtFileOperation('removal of old blobs'), 1],
  [killInRecovery, 2],
  [killsInARow, 2],
  [failingFileOperation, 4],
  [fullDisk, 2],
  [readOnlyFolder, 1],
  [damagedBlob, 4],
  [damagedSegment, 4],
  [damagedChain, 2],
  [damagedSettings, 2],
  [stoppedAtEffect('file'), 2],
  [stoppedAtFileOperation, 2],
  [threeWayContest('file'), 1],
  [killAtEffect('kafka'), 2],
  [killAtRequest, 4],
  [badNetwork, 4],
  [brokerKilled, 1],
  [stoppedAtEffect('kafka'), 1],
  [lateRequest, 1],
  [cutOffAndTakenOver, 1],
  [threeWayContest('kafka'), 1],
  [trainerKilled, 2],
  [trainerStopped('file'), 1],
  [trainerDamaged, 1],
  [trainerFullDisk, 1],
  [trainerKilledAtRequest, 1],
  [trainerStopped('kafka'), 1],
];

/** Takes longer than a minute: not in CI's share. */
export const SLOW: FaultKind = pausedBeyondTimeout;

/** One kind after the other, each spread evenly over the cycle: any part of a campaign tries all that it can. */
export const CYCLE: readonly FaultKind[] = SHARES.flatMap(([kind, times]) =>
  Array.from({ length: times }, (_, i) => ({ kind, at: (i + 0.5) / times })),
)
  .sort((a, b) => a.at - b.at)
  .map(({ kind }) => kind);
