import { afterEach, expect, test } from 'vitest';
import type { Defect } from './broken-child.ts';
import { drawOf } from './draw.ts';
import { type FaultKind, GOOD, type Trial } from './fault.ts';
import { Ground } from './ground.ts';
import { killAtEffect } from './kinds/kills.ts';
import { stoppedAtEffect } from './kinds/zombies.ts';

/** A campaign that cannot fail proves nothing: with a defect in the trainer, it says what went wrong. */

let ground: Ground | null = null;
afterEach(async () => {
  await ground?.close();
  ground = null;
});

/** The kind's trial at the moment of this name. */
async function tried(broken: Defect, kind: FaultKind, moment: string): Promise<Trial> {
  ground = await Ground.open(() => {}, broken);
  const named = <T>(_: string, of: readonly T[]): T => of.find((each) => (each as [number, string])[1] === moment)!;
  const trial = await kind.run(ground, { ...drawOf(1, kind.name, 0), turn: named });
  expect(trial.moment).toBe(moment);
  expect(GOOD).not.toContain(trial.verdict);
  return trial;
}

const SLOW = { timeout: 120_000 };

test('a trainer that is never fenced', SLOW, async () => {
  const trial = await tried('not fenced', stoppedAtEffect('file'), 'before commit');
  expect(trial).toMatchObject({ verdict: 'silently accepted', detail: expect.stringContaining('ended with status 0') });
});

test('a commit record that comes before its blobs', SLOW, async () => {
  const trial = await tried('record before blobs', killAtEffect('file'), 'after commit');
  expect(trial).toMatchObject({ verdict: 'wrongly refused', detail: expect.stringContaining('STATE_MISSING') });
});

test('a trainer that is told of commits before they are made', SLOW, async () => {
  const trial = await tried('told before committed', killAtEffect('file'), 'after commit');
  expect(trial).toMatchObject({ verdict: 'lost', detail: expect.stringContaining('step 12') });
});

test('an input that begins one batch too early', SLOW, async () => {
  const trial = await tried('a batch again', killAtEffect('file'), 'after commit');
  expect(trial.verdict).toMatch(/^(lost|repeated)$/);
  expect(trial.detail).toContain('repeated: sample images/0/9/0 and 4 more');
});
