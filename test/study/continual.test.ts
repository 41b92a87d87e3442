import { describe, expect, test } from 'vitest';
import { forgettingPlot } from '../../study/continual/plot.ts';
import { classTable, type Measurement, outcomeOf, outcomeTable, overSeeds } from '../../study/continual/results.ts';
import { BATCH, imagesOfTurn, pipelineOf, TURNS, topicOf } from '../../study/continual/settings.ts';

const turns = [[0, 1], [2], [3]];
const after = (turn: number, fid: Record<string, number>, over: Partial<Measurement> = {}): Measurement => ({
  queue: 'queue',
  share: 0.25,
  seed: 0,
  turn,
  step: 10 * (turn + 1),
  fid,
  ...over,
});
const run = [after(0, { 0: 10, 1: 20 }), after(1, { 0: 40, 1: 15, 2: 30 }), after(2, { 0: 25, 1: 18, 2: 30, 3: 7 })];

describe('what a run has forgotten', () => {
  test('is the mean over the older classes of FID at the end less the best they ever had', () => {
    const outcome = outcomeOf(run, turns)!;
    expect(outcome.forgetting).toBeCloseTo((25 - 10 + (18 - 15) + (30 - 30)) / 3, 12);
    expect(outcome.end).toBe((25 + 18 + 30 + 7) / 4);
    expect(outcome.newest).toBe(7);
  });

  test('is nothing where a class was never better, and not known before the last turn', () => {
    const better = [run[0]!, run[1]!, after(2, { 0: 9, 1: 14, 2: 29, 3: 7 })];
    expect(outcomeOf(better, turns)!.forgetting).toBe(0);
    expect(outcomeOf(run.slice(0, 2), turns)).toBeNull();
  });

  test('is told by variant, over its seeds', () => {
    const [first, second] = [outcomeOf(run, turns)!, { ...outcomeOf(run, turns)!, seed: 1, end: 40 }];
    const table = outcomeTable([first, { ...first, share: 0 }, second]);
    expect(table.split('\n').slice(2)).toEqual([
      '| queue, share 0.25 | 2 | 30.0 (20.0 to 40.0) | 7.0 (7.0 to 7.0) | 6.0 (6.0 to 6.0) |',
      '| queue, share 0 | 1 | 20.0 | 7.0 | 6.0 |',
    ]);
    expect(overSeeds([123.4])).toBe('123');
  });

  test('has a cell for each class that has come, and a line for each variant', () => {
    const seeds = [...run, after(0, { 0: 30, 1: 20 }, { seed: 1 })];
    expect(classTable(seeds, turns).split('\n').slice(2)).toEqual([
      '| 0 and 1 | 20 | 20 |  |  |',
      '| 2 | 40 | 15 | 30 |  |',
      '| 3 | 25 | 18 | 30 | 7 |',
    ]);
    const svg = forgettingPlot([...run, after(0, { 0: 1, 1: 1 }, { queue: 'none' })], turns);
    expect(svg.match(/<polyline/g)).toHaveLength(2);
    // Means of 0 and 1: 15, 27.5, 21.5 and 1.
    expect(svg.match(/<circle/g)).toHaveLength(4);
    expect(svg).toContain('no queue, share 0.25');
  });
});

test('each variant has a pipeline that holds, and a stream as long as its steps take', () => {
  for (const queue of ['none', 'queue'] as const)
    for (const share of [0, 0.25, 0.5]) {
      const pipeline = pipelineOf({ queue, share }, { seed: 1, log: 'file:log', stepsPerTurn: 40, turn: 4 });
      expect(pipeline.steps).toBe(200);
      expect(pipeline.source.topic).toBe(topicOf(40, share));
      expect(pipeline.operators.mix?.share ?? 0).toBe(share);
      expect(pipeline.losses.repulsion === null).toBe(queue === 'none');
      expect(imagesOfTurn(40, share)).toBe(40 * BATCH * (1 - share));
    }
  expect(TURNS.flat()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});
