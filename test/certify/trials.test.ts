import { expect, test } from 'vitest';
import type { LifeLine } from '../../src/certify/live.ts';
import { commonMoments, GROUPS, planTrials, type TrialFacts, trialNamed } from '../../src/certify/trials.ts';

const EFFECTS = ['write', 'fsync', 'begin', 'negatives', 'journal', 'commit-record', 'commit'] as const;
const moments = new Map(
  EFFECTS.flatMap((effect) => [
    [`before ${effect}`, effect === 'write' ? 4 : 1],
    [`after ${effect}`, effect === 'write' ? 4 : 1],
  ]),
);
const facts: TrialFacts = { steps: 24, seed: 1, moments };

test('of a life, the moments count that come in both of its first two commits', () => {
  const commits = [
    ['write', 'write', 'fsync', 'commit'],
    ['write', 'fsync', 'fsync', 'link', 'commit'],
    ['link', 'commit'],
  ] as const;
  const lines = commits.flat().flatMap((effect): LifeLine[] => [
    { kind: 'moment', when: 'before', effect },
    { kind: 'moment', when: 'after', effect },
    { kind: 'step', step: 1 },
  ]);
  expect([...commonMoments(lines)].filter(([moment]) => moment.startsWith('after'))).toEqual([
    ['after write', 1],
    ['after fsync', 1],
    ['after commit', 1],
  ]);
});

test('there is a kill before and after every effect, and a name is one trial', () => {
  const trials = planTrials(facts, null);
  for (const moment of moments.keys()) expect(trials.map(({ id }) => id)).toContain(`kill-${moment.replace(' ', '-')}`);
  expect(new Set(trials.map(({ id }) => id)).size).toBe(trials.length);
  expect(new Set(trials.map(({ group }) => group))).toEqual(new Set(Object.keys(GROUPS)));
});

test('a trial is the same by its name alone, whatever else is asked for; another seed takes other chances', () => {
  const many = planTrials(facts, 60);
  expect(many).toHaveLength(60);
  expect(many.at(-1)!.id).toMatch(/^kill-random-\d+$/);
  for (const trial of many) expect(trialNamed(facts, trial.id)).toEqual(trial);
  expect(planTrials({ ...facts, seed: 2 }, 60)).not.toEqual(many);
  expect(trialNamed(facts, 'kill-after-link')).toBe(null);
  expect(trialNamed(facts, 'kill-random-0')).toBe(null);
});

test('of fewer there are some of every group, in the same order', () => {
  const all = planTrials(facts, null).map(({ id }) => id);
  const few = planTrials(facts, 7);
  expect(few).toHaveLength(7);
  expect(new Set(few.map(({ group }) => group)).size).toBe(7);
  expect(all.filter((id) => few.some((trial) => trial.id === id))).toEqual(few.map(({ id }) => id));
  expect(planTrials(facts, 1).map(({ id }) => id)).toEqual(['again']);
});

test('without a queue nothing is killed at negatives, or while a queue is rebuilt', () => {
  const without = new Map([...moments].filter(([moment]) => !moment.endsWith('negatives')));
  const ids = planTrials({ ...facts, moments: without }, null).map(({ id }) => id);
  expect(ids.filter((id) => /negatives|queue/.test(id))).toEqual([]);
});

test('stops and kills in a row come at steps that rise, and leave some to do', () => {
  for (let seed = 0; seed < 200; seed++) {
    for (const id of ['stop-five-times', 'kill-five-times']) {
      const { plan } = trialNamed({ ...facts, seed }, id)!;
      const steps =
        plan.does === 'accidents' ? plan.accidents.map(({ point }) => (point.at === 'step' ? point.step : 0)) : [];
      expect(steps).toHaveLength(5);
      expect(steps).toEqual([...new Set(steps)].sort((a, b) => a - b));
      expect(steps[0]).toBeGreaterThanOrEqual(1);
      expect(steps[4]).toBeLessThan(24);
    }
  }
});
