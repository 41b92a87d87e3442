import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { isSamePlace, type Place } from './position.ts';
import type { TopicIdentity } from './topic-identity.ts';

/** Milliseconds between two looks at which partitions the followed topics have. */
const LOOK_EVERY_MS = 5_000;

/**
 * Resolves to the partitions that came to the topics since `known`, once there are some; to none when `signal` aborts.
 * A log that cannot be reached is asked again: the reads themselves say so when it stays away.
 * @throws RepulsorError STATE_MISSING when a topic was deleted, or made anew
 */
export async function watchGrowth(
  log: Log,
  topics: readonly string[],
  known: readonly Place[],
  identity: TopicIdentity,
  signal: AbortSignal,
): Promise<Place[]> {
  for (;;) {
    await sleep(LOOK_EVERY_MS, undefined, { signal, ref: false }).catch(() => undefined);
    if (signal.aborted) return [];
    try {
      await identity.demandSame();
      const grown: Place[] = [];
      for (const topic of topics)
        for (const partition of await log.partitions(topic))
          if (!known.some((place) => isSamePlace(place, { topic, partition }))) grown.push({ topic, partition });
      if (grown.length > 0) return grown;
    } catch (error) {
      if (hasCode(error, 'STATE_MISSING')) throw error;
    }
  }
}
