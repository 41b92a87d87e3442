import type { EffectName } from '../checkpoint/effects.ts';
import { uniforms } from '../random/philox.ts';
import { type Accident, effectCounter, type Point, RECOVERY_PARTS } from './accident.ts';
import type { LifeLine } from './live.ts';

export type DamageKind = 'flipped' | 'cut' | 'removed';

/** What is done to a run: then it must come out as the reference did. */
export type TrialPlan =
  /** A life for each, ended by its accident, and one more to the end; one that `fail`s is the last itself. */
  | { readonly does: 'accidents'; readonly accidents: readonly Accident[] }
  /** One trainer sleeps at the point; another takes the run over; the first wakes, when the other has ended or is still at work. */
  | { readonly does: 'fencing'; readonly sleeps: Point; readonly wakes: 'after' | 'meanwhile' }
  /** After a clean stop a blob of the newest commit is damaged: refused, then gone on with from the commit before. */
  | { readonly does: 'damage'; readonly stop: Point; readonly damage: DamageKind }
  /** After a clean stop it is started with other settings: refused. */
  | { readonly does: 'settings'; readonly stop: Point }
  /** Killed and gone on with; then its journal is replayed. */
  | { readonly does: 'replay'; readonly accident: Accident };

export type TrialGroup = keyof typeof GROUPS;

/** What the trials of a group show, in the order of the report. */
export const GROUPS = {
  again: 'The same run twice gives the same bits, and so does its journal',
  crash: 'Killed at each point of a commit, it goes on as if nothing had been',
  recovery: 'Killed while it recovers, or several times in a row, too',
  fencing: 'Of two trainers of one run, only the later one commits',
  stop: 'Stopped and resumed, nothing is shifted or trained twice',
  damage: 'Damaged state is refused, and the commit before is there to go on from',
  failure: 'A write that fails is made good by the next commit',
} as const;

export interface Trial {
  readonly id: string;
  readonly group: TrialGroup;
  readonly plan: TrialPlan;
  /** Processes it starts, about: for the time that is left. */
  readonly lives: number;
}

export interface TrialFacts {
  readonly steps: number;
  readonly seed: number;
  /** How often the reference came to each moment in its first two commits, the lesser of both: "before rename" -> 4. */
  readonly moments: ReadonlyMap<string, number>;
}

/** Of a life's lines: the moments that come in both of its first two commits. */
export function commonMoments(lines: readonly LifeLine[]): Map<string, number> {
  const place = effectCounter();
  const counts = [new Map<string, number>(), new Map<string, number>()];
  for (const line of lines) {
    if (line.kind !== 'moment') continue;
    const { commit, nth } = place(line.when, line.effect);
    counts[commit - 1]?.set(`${line.when} ${line.effect}`, nth);
  }
  const [first, second] = counts as [Map<string, number>, Map<string, number>];
  const both = [...first].filter(([moment]) => second.has(moment));
  return new Map(both.map(([moment, count]) => [moment, Math.min(count, second.get(moment)!)]));
}

/**
 * The trials: one of each kind, and past these as many random kills as `wanted` leaves room for; of fewer, some of every
 * group. Each takes its chances from the seed and its own name, so that it is the same alone.
 */
export function planTrials(facts: TrialFacts, wanted: number | null): Trial[] {
  const standard = standardTrials(facts);
  if (wanted === null || wanted === standard.length) return standard;
  if (wanted > standard.length) {
    const more = Array.from({ length: wanted - standard.length }, (_, i) => randomKills(facts, `kill-random-${i + 1}`));
    return [...standard, ...more];
  }
  const groups = Object.keys(GROUPS).map((group) => standard.filter((trial) => trial.group === group));
  const turns = Array.from({ length: standard.length }, (_, i) => groups.flatMap((group) => group[i] ?? [])).flat();
  const chosen = new Set(turns.slice(0, wanted));
  return standard.filter((trial) => chosen.has(trial));
}

/** A trial by its name; null for a name that none has. */
export function trialNamed(facts: TrialFacts, id: string): Trial | null {
  if (/^kill-random-[1-9]\d{0,5}$/.test(id)) return randomKills(facts, id);
  return standardTrials(facts).find((trial) => trial.id === id) ?? null;
}

function standardTrials(facts: TrialFacts): Trial[] {
  const hasQueue = facts.moments.has('before negatives');
  return [
    { id: 'again', group: 'again', plan: { does: 'accidents', accidents: [] }, lives: 1 },
    {
      id: 'replay',
      group: 'again',
      plan: {
        does: 'replay',
        accident: kill({ at: 'step', step: 1 + chances(facts.seed, 'replay')(facts.steps - 1) }),
      },
      lives: 3,
    },
    ...[...facts.moments.keys()].map((moment) => killedAt(facts, moment)),
    killedAfterSteps(facts, 'kill-first-step', () => [1]),
    killedAfterSteps(facts, 'kill-step', (draw) => [1 + draw(facts.steps - 1)]),
    ...RECOVERY_PARTS.filter((part) => part !== 'queue' || hasQueue).map((part): Trial => {
      const accidents = [kill(effect('before', 'begin', 2)), kill({ at: 'recovery', part })];
      return { id: `kill-recovering-${part}`, group: 'recovery', plan: { does: 'accidents', accidents }, lives: 3 };
    }),
    {
      // The second life finds the blobs of the first, which its commit never named.
      id: 'kill-linking',
      group: 'recovery',
      plan: { does: 'accidents', accidents: [kill(effect('after', 'begin', 1)), kill(effect('before', 'link', 1))] },
      lives: 3,
    },
    { ...killedAfterSteps(facts, 'kill-five-times', (draw) => ascending(5, facts.steps - 1, draw)), group: 'recovery' },
    ...fencingTrials(facts),
    stopped(facts, 'stop', (draw) => [{ at: 'step', step: 1 + draw(stoppable(facts)) }]),
    stopped(facts, 'stop-in-commit', () => [effect('before', 'journal', 1)]),
    stopped(facts, 'stop-five-times', (draw) =>
      ascending(5, stoppable(facts), draw).map((step): Point => ({ at: 'step', step })),
    ),
    { id: 'other-settings', group: 'damage', plan: { does: 'settings', stop: middle(facts) }, lives: 4 },
    ...(['flipped', 'cut', 'removed'] as const).map(
      (damage): Trial => ({
        id: `blob-${damage}`,
        group: 'damage',
        plan: { does: 'damage', stop: middle(facts), damage },
        lives: 3,
      }),
    ),
    ...(['write', 'fsync', 'journal'] as const).map(
      (name): Trial => ({
        id: `fail-${name}`,
        group: 'failure',
        plan: { does: 'accidents', accidents: [{ does: 'fail', point: effect('before', name, 1) }] },
        lives: 1,
      }),
    ),
  ];
}

function killedAt(facts: TrialFacts, moment: string): Trial {
  const [when, name] = moment.split(' ') as ['before' | 'after', EffectName];
  const id = `kill-${when}-${name}`;
  const draw = chances(facts.seed, id);
  const point = effect(when, name, 1 + draw(2), 1 + draw(facts.moments.get(moment)!));
  return { id, group: 'crash', plan: { does: 'accidents', accidents: [kill(point)] }, lives: 2 };
}

function killedAfterSteps({ seed }: TrialFacts, id: string, choose: (draw: Draw) => number[]): Trial {
  const accidents = choose(chances(seed, id)).map((step) => kill({ at: 'step', step }));
  return { id, group: 'crash', plan: { does: 'accidents', accidents }, lives: accidents.length + 1 };
}

function randomKills(facts: TrialFacts, id: string): Trial {
  const draw = chances(facts.seed, id);
  const moments = [...facts.moments];
  const accidents = Array.from({ length: 1 + draw(3) }, () => {
    const [moment, count] = moments[draw(moments.length)]!;
    const [when, name] = moment.split(' ') as ['before' | 'after', EffectName];
    // Of its first commit: each life has one, however far it has come.
    return kill(effect(when, name, 1, 1 + draw(count)));
  });
  return { id, group: 'crash', plan: { does: 'accidents', accidents }, lives: accidents.length + 1 };
}

function fencingTrials(facts: TrialFacts): Trial[] {
  const asleep = (id: string, sleeps: Point, wakes: 'after' | 'meanwhile' = 'after'): Trial => ({
    id,
    group: 'fencing',
    plan: { does: 'fencing', sleeps, wakes },
    lives: 2,
  });
  return [
    asleep('sleep-before-blobs', effect('before', 'write', 2)),
    asleep('sleep-before-begin', effect('before', 'begin', 2)),
    asleep('sleep-after-journal', effect('after', 'journal', 2)),
    asleep('sleep-before-commit', effect('before', 'commit', 2)),
    asleep('sleep-after-commit', effect('after', 'commit', 1)),
    asleep('sleep-between-steps', {
      at: 'step',
      step: 1 + chances(facts.seed, 'sleep-between-steps')(facts.steps - 1),
    }),
    asleep('two-at-once', effect('before', 'commit-record', 1), 'meanwhile'),
  ];
}

function stopped({ seed }: TrialFacts, id: string, choose: (draw: Draw) => Point[]): Trial {
  const accidents = choose(chances(seed, id)).map((point): Accident => ({ does: 'terminate', point }));
  return { id, group: 'stop', plan: { does: 'accidents', accidents }, lives: accidents.length + 1 };
}

const kill = (point: Point): Accident => ({ does: 'kill', point });

const effect = (when: 'before' | 'after', name: EffectName, commit: number, nth = 1): Point => ({
  at: 'effect',
  when,
  effect: name,
  commit,
  nth,
});

/** Late enough that at least two commits hold it, early enough that there is something left to do. */
const middle = ({ steps }: TrialFacts): Point => ({ at: 'step', step: Math.ceil(steps / 2) });

/** A whole number below its argument. */
type Draw = (below: number) => number;

function chances(seed: number, id: string): Draw {
  let drawn = 0;
  return (below) => Math.floor(uniforms(seed, `certify ${id}`, drawn++, 1)[0]! * below);
}

/** A clean stop is asked for, not done at once: the last steps would be done before it is heard. */
const stoppable = ({ steps }: TrialFacts): number => Math.max(1, Math.floor((2 * steps) / 3));

/** So many different steps from 1 to `last`, as far as there are so many, in their order. */
function ascending(count: number, last: number, draw: Draw): number[] {
  const left = Array.from({ length: last }, (_, i) => i + 1);
  const chosen = Array.from({ length: Math.min(count, left.length) }, () => left.splice(draw(left.length), 1)[0]!);
  return chosen.sort((a, b) => a - b);
}
