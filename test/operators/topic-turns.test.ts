import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LogRecord } from '../../src/log/log.ts';
import { inTopicTurns, type TopicRead } from '../../src/operators/topic-turns.ts';

const record = (topic: string, partition: number, offset: number): LogRecord => ({
  topic,
  partition,
  offset,
  timestamp: 0,
  key: null,
  value: null,
  headers: {},
});
const name = ({ topic, partition, offset }: LogRecord) => `${topic}${partition}:${offset}`;

/** Offsets in each partition of each topic. */
type Counts = readonly (readonly number[])[];

/** What a bounded Log.read promises: partitions in turn, ascending, from `from` on and beginning with `turn`. */
function bounded(counts: readonly number[], topic: string, from: readonly number[], turn: number): LogRecord[] {
  const next = [...from];
  const records: LogRecord[] = [];
  for (let at = turn; next.some((offset, p) => offset < counts[p]!); at++) {
    const p = at % counts.length;
    if (next[p]! < counts[p]!) records.push(record(topic, p, next[p]!++));
  }
  return records;
}

/** Gives its records each after as many turns of the microtask queue as `delays` says. */
async function* late(records: readonly LogRecord[], delays: readonly number[]): AsyncGenerator<LogRecord> {
  for (const [i, each] of records.entries()) {
    for (let left = delays[i % delays.length] ?? 0; left > 0; left--) await Promise.resolve();
    yield each;
  }
}

const counts: fc.Arbitrary<Counts> = fc.array(fc.array(fc.nat(5), { minLength: 1, maxLength: 4 }), {
  minLength: 1,
  maxLength: 4,
});
const delays = fc.array(fc.nat(7), { minLength: 1, maxLength: 5 });

async function all(reads: readonly TopicRead[], turns: Parameters<typeof inTopicTurns>[1]): Promise<string[]> {
  const names: string[] = [];
  for await (const each of inTopicTurns(reads, turns)) names.push(name(each));
  return names;
}

const TOPICS = ['a', 'b', 'c', 'd'];

describe('bounded', () => {
  test('a round takes one record of each partition that has any left, in order, whatever comes when', async () => {
    await fc.assert(
      fc.asyncProperty(counts, delays, async (topics, pause) => {
        const reads = topics.map((counted, t) => {
          const records = bounded(
            counted,
            TOPICS[t]!,
            counted.map(() => 0),
            0,
          );
          return { topic: TOPICS[t]!, records: late(records, pause.slice(t % pause.length)) };
        });
        const places = topics.flatMap((counted, t) => counted.map((count, p) => ({ topic: TOPICS[t]!, p, count })));
        const rounds = Array.from({ length: 6 }, (_, round) =>
          places.filter(({ count }) => round < count).map(({ topic, p }) => `${topic}${p}:${round}`),
        );
        expect(await all(reads, { bounded: true })).toEqual(rounds.flat());
      }),
      { numRuns: 300 },
    );
  });

  test('begun anew at any place with the turn that was next there, it goes on as it would have', async () => {
    await fc.assert(
      fc.asyncProperty(counts, delays, fc.nat(), async (topics, pause, cut) => {
        const places = topics.flatMap((counted, t) =>
          counted.map((_, partition) => ({ topic: TOPICS[t]!, partition })),
        );
        const read = (from: readonly number[], turn: number) => {
          const at = places[turn]!;
          const reads = topics.flatMap((counted, t) => {
            const own = places.flatMap(({ topic }, i) => (topic === TOPICS[t] ? [from[i]!] : []));
            const begin = at.topic === TOPICS[t] ? at.partition : 0;
            const records = bounded(counted, TOPICS[t]!, own, begin);
            // As the stream does it: a topic of which nothing is left is not read.
            return records.length === 0 ? [] : [{ topic: TOPICS[t]!, records: late(records, pause) }];
          });
          return all(reads, { bounded: true, turn: at });
        };
        const whole = await read(
          places.map(() => 0),
          0,
        );
        if (whole.length === 0) return;
        const taken = whole.slice(0, 1 + (cut % whole.length));
        const from = places.map(
          ({ topic, partition }) => taken.filter((n) => n.startsWith(`${topic}${partition}:`)).length,
        );
        const last = places.findIndex(({ topic, partition }) => taken.at(-1)!.startsWith(`${topic}${partition}:`));
        expect([...taken, ...(await read(from, (last + 1) % places.length))]).toEqual(whole);
      }),
      { numRuns: 300 },
    );
  });
});

describe('following', () => {
  test('a silent topic holds up nobody; what it says at last is next', async () => {
    let say = (_: LogRecord): void => {};
    const said = new Promise<LogRecord>((resolve) => {
      say = resolve;
    });
    async function* silent() {
      yield await said;
    }
    async function* busy() {
      for (let offset = 0; ; offset++) yield record('a', 0, offset);
    }
    const turns = inTopicTurns(
      [
        { topic: 'a', records: busy() },
        { topic: 'b', records: silent() },
      ],
      { bounded: false },
    );
    for (let i = 0; i < 1000; i++) expect(name((await turns.next()).value!)).toBe(`a0:${i}`);
    say(record('b', 0, 0));
    await new Promise((resolve) => setImmediate(resolve));
    expect(name((await turns.next()).value!)).toBe('b0:0');
    expect(name((await turns.next()).value!)).toBe('a0:1000');
    await turns.return(undefined);
  });

  test('a record that is ready waits at most for one of each other partition', async () => {
    async function* endless(topic: string, partitions: number) {
      for (let i = 0; ; i++) yield record(topic, i % partitions, Math.floor(i / partitions));
    }
    const turns = inTopicTurns(
      [
        { topic: 'a', records: endless('a', 3) },
        { topic: 'b', records: endless('b', 1) },
        { topic: 'c', records: endless('c', 2) },
      ],
      { bounded: false },
    );
    const taken: string[] = [];
    for (let i = 0; i < 600; i++) {
      // As the stream asks: a turn of the event loop between two records, in which each topic can make its next ready.
      await new Promise((resolve) => setImmediate(resolve));
      taken.push(name((await turns.next()).value!));
    }
    await turns.return(undefined);
    for (let round = 0; round < 100; round++) {
      expect(taken.slice(6 * round, 6 * round + 6)).toEqual(
        ['a0', 'a1', 'a2', 'b0', 'c0', 'c1'].map((place) => `${place}:${round}`),
      );
    }
  });

  test('the error of one topic is the error of all', async () => {
    async function* failing(): AsyncGenerator<LogRecord> {
      yield record('b', 0, 0);
      throw new Error('the disk is gone');
    }
    async function* silent(): AsyncGenerator<LogRecord> {
      await new Promise(() => {});
    }
    const reads = [
      { topic: 'a', records: silent() },
      { topic: 'b', records: failing() },
    ];
    await expect(all(reads, { bounded: false })).rejects.toThrow('the disk is gone');
  });
});
