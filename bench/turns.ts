import { type Spread, spread } from './spread.ts';

/**
 * Measures several ways of one thing in turns: every round runs each of them once, and each round begins with another,
 * so that what else the machine does meets all of them alike. A function returns what it measured (seconds, mostly).
 */
export async function inTurns<K extends string>(
  rounds: number,
  ways: Readonly<Record<K, () => Promise<number>>>,
): Promise<Record<K, number[]>> {
  const names = Object.keys(ways) as K[];
  const measured = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<K, number[]>;
  for (let round = 0; round < rounds; round++)
    for (let i = 0; i < names.length; i++) {
      const name = names[(round + i) % names.length]!;
      measured[name].push(await ways[name]());
    }
  return measured;
}

/** The ratio of two ways, round by round: a loaded machine moves both sides of one round alike. */
export function ratios(of: readonly number[], over: readonly number[]): Spread {
  return spread(of.map((value, round) => value / over[round]!));
}

/** Seconds that it took. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}
