import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { commitsThatTell, neededRecords } from '../../src/checkpoint/needed-records.ts';
import { runTopics } from '../../src/checkpoint/run-id.ts';
import type { Commit } from '../../src/codec/records.ts';
import type { TopicKeeping } from '../../src/log/log.ts';
import { type Danger, dangerOf, type Headroom, headroomOf } from '../../src/trainer/headroom.ts';
import { guardRetention } from '../../src/trainer/retention-guard.ts';
import { MemoryLog } from '../operators/memory-log.ts';

const topics = runTopics('run');
const NONE: TopicKeeping = { retentionMs: null, retentionBytes: null, compacted: false, maxRecordBytes: null };

/** The n-th commit: it has read to 10 n in the one partition of `images`, and brought 5 rows to a queue of 12. */
function commit(n: number, window: number[] | null = null): Commit {
  const position = {
    epoch: 0,
    samples: n,
    windows: n,
    next: [{ topic: 'images', partition: 0, offset: 10 * n }],
    turn: 0,
    seen: [],
    bounds: null,
    window: window && { consumed: 1, records: [{ topic: 'images', partition: 0, offsets: window }] },
  };
  const negatives = {
    begin: Math.max(0, n - 1),
    end: n,
    capacity: 12,
    dim: 1,
    count: 5 * n,
    digest: new Uint8Array(32),
  };
  return { position, negatives } as unknown as Commit;
}
/** An archive window that is open. */
const drawnFrom = (begin: number, end: number): Commit['position']['archive'] => ({
  windows: 1,
  open: { consumed: 1, size: 2, ranges: [{ topic: 'images', partition: 0, begin, end }] },
});
const newestFirst = (newest: number): Commit[] => Array.from({ length: newest }, (_, i) => commit(newest - i));

describe('what is needed', () => {
  const needed = (commits: Commit[], keep: number) =>
    neededRecords(commits, commits[Math.min(keep, commits.length) - 1]!, topics).map(
      ({ topic, offset, need }) => `${need} ${topic} ${offset}`,
    );
  const history = ['negatives', 'journal', 'commits'].map((name) => `history run.${name} 0`);

  test('inputs from the position, or from the open window; from the oldest kept commit; the rows in the queue', () => {
    expect(needed(newestFirst(7), 5)).toEqual([
      'resume images 70',
      'replay images 30',
      'resume run.negatives 4', // commits 5, 6 and 7 brought rows 20 to 34, of which the last 12 are in the queue
      ...history,
    ]);
    expect(needed([commit(7, [63, 65]), ...newestFirst(6)], 1)[0]).toBe('resume images 63');
    expect(needed([commit(7, [63, 65]), ...newestFirst(6)], 1)).not.toContain('replay images 70');
  });

  test('of a run in epochs the begin of the epoch, whatever was read', () => {
    const one = commit(3);
    one.position.bounds = [{ topic: 'images', partition: 0, begin: 2, end: 100 }];
    expect(needed([one], 5)[0]).toBe('resume images 2');
  });

  test('so many commits are held as are kept, or have rows in the queue', () => {
    expect(commitsThatTell(newestFirst(20), 5)).toBe(5);
    expect(commitsThatTell(newestFirst(20), 1)).toBe(3);
    expect(commitsThatTell(newestFirst(2), 5)).toBe(2);
  });
});

describe('headroom', () => {
  const DAY = 86_400_000;
  const needed = { topic: 'images', partition: 0, offset: 60, need: 'resume' } as const;
  const range = { earliest: 20, end: 100 };
  const of = (keeping: Partial<TopicKeeping>, timestamp: number | null = null, storedBytes: number | null = null) =>
    headroomOf(needed, { range, keeping: { ...NONE, ...keeping }, timestamp, storedBytes }, 10 * DAY);

  test('is in records always, in time and bytes where the topic has such a limit', () => {
    expect(of({})).toMatchObject({ records: 40, seconds: null, bytes: null, share: 1 });
    expect(of({ retentionMs: 4 * DAY }, 9 * DAY)).toMatchObject({ seconds: 3 * 86_400, share: 0.75 });
    expect(of({ retentionMs: 4 * DAY }, 3 * DAY)).toMatchObject({ seconds: 0, share: 0 });
    expect(of({ retentionMs: 4 * DAY }, null)).toMatchObject({ seconds: null, share: 1 });
    // Half of the partition's 80 offsets, so half of its 1,000 bytes, are needed.
    expect(of({ retentionBytes: 2_000 }, null, 1_000)).toMatchObject({ bytes: 1_500, share: 0.75 });
    expect(of({ retentionBytes: 2_000, retentionMs: 4 * DAY }, 7 * DAY, 1_000)).toMatchObject({ share: 0.25 });
  });

  test('of what is not written yet is all of the limit; of what is gone it is nothing', () => {
    const ahead = {
      range: { earliest: 20, end: 60 },
      keeping: { ...NONE, retentionMs: DAY },
      timestamp: null,
      storedBytes: null,
    };
    expect(headroomOf(needed, ahead, 0)).toMatchObject({ records: 40, seconds: 86_400, share: 1 });
    const gone = { ...ahead, range: { earliest: 70, end: 90 } };
    expect(headroomOf(needed, gone, 0)).toMatchObject({ records: -10, share: 0 });
  });

  test('is finite and between 0 and 1 for clocks and timestamps that disagree', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.nat(), fc.nat(200), (retentionMs, timestamp, now, offset) => {
        const { share, seconds } = headroomOf(
          { ...needed, offset },
          { range, keeping: { ...NONE, retentionMs }, timestamp, storedBytes: null },
          now,
        );
        expect(share >= 0 && share <= 1).toBe(true);
        expect(seconds! >= 0 && seconds! <= retentionMs / 1000).toBe(true);
      }),
    );
  });

  test('is near below a fifth, and no longer near above a quarter only', () => {
    const at = (share: number, records = 1) => ({ ...of({}), share, records }) as Headroom;
    const walked: Danger[] = [];
    for (const share of [0.5, 0.21, 0.19, 0.24, 0.26, 0.22]) walked.push(dangerOf(at(share), walked.at(-1) ?? 'none'));
    expect(walked).toEqual(['none', 'none', 'near', 'near', 'none', 'none']);
    expect(dangerOf(at(0, -1), 'near')).toBe('gone');
  });
});

describe('the guard', () => {
  async function guarded(keeping: TopicKeeping, timestamps: readonly number[]) {
    const log = new MemoryLog();
    for (const topic of ['images', ...Object.values(topics)]) await log.createTopic(topic);
    for (const timestamp of timestamps) await log.append('images', [{ value: Uint8Array.of(1), timestamp }]);
    log.keepingOf = { images: keeping };
    const warnings: string[] = [];
    const headrooms = new Map<string, Headroom>();
    const committer = { parent: null as never, topics, lineage: { at: async () => null } };
    const guard = await guardRetention({
      log,
      inputs: ['images'],
      committer,
      keep: 5,
      onHeadroom: (headroom) => headrooms.set(`${headroom.need} ${headroom.topic}`, headroom),
      onWarning: (message) => warnings.push(message),
    });
    const commitAt = (n: number, archiveFrom: number | null = null) => {
      const next = commit(n);
      if (archiveFrom !== null) next.position.archive = drawnFrom(archiveFrom, 10 * n);
      committer.parent = { commit: next } as never;
      guard.committed();
    };
    return { log, guard, warnings, headrooms, commitAt };
  }

  test('tells about how long it is until a needed record goes, and warns once a change', async () => {
    const hour = 3_600_000;
    const now = Date.now();
    // Offsets 0 to 9 are nine hours old, 10 to 19 one hour.
    const { log, guard, warnings, headrooms, commitAt } = await guarded(
      { ...NONE, retentionMs: 10 * hour },
      Array.from({ length: 20 }, (_, i) => now - (i < 10 ? 9 : 1) * hour),
    );
    commitAt(0);
    await guard.look();
    await guard.look();
    expect(headrooms.get('resume images')!.seconds).toBeCloseTo(3_600, -2);
    expect(warnings).toEqual([
      "images, partition 0: retention comes near offset 0, which the next start of this run needs: it may be removed in about 60 minutes by age (retention.ms); lengthen the topic's retention",
    ]);
    commitAt(1); // what is needed now is an hour old; a replay still needs the first
    await guard.look();
    await guard.look();
    expect(headrooms.get('resume images')!.seconds).toBeCloseTo(9 * 3_600, -2);
    expect(warnings.slice(1).map((warning) => warning.slice(0, 70))).toEqual([
      'images, partition 0: retention is far again from what the next start o',
      'images, partition 0: retention comes near offset 0, which a replay fro',
    ]);
    log.truncate('images', 0, 12);
    await guard.look();
    await guard.look();
    expect(warnings.slice(3)).toEqual([
      'images, partition 0: offsets 10 to 11 were removed (2 records at most): the earliest left is 12; the next start of this run needs them and would be refused',
      'images, partition 0: offsets 0 to 11 were removed (12 records at most): the earliest left is 12; a replay from the oldest kept commit needs them',
    ]);
    expect(headrooms.get('resume images')).toMatchObject({ records: -2, share: 0 });
    guard.close();
  });

  test('tells once that the archive is cut, though its oldest record is always the next to go', async () => {
    const hour = 3_600_000;
    const now = Date.now();
    const { log, guard, warnings, headrooms, commitAt } = await guarded(
      { ...NONE, retentionMs: 10 * hour },
      Array.from({ length: 40 }, (_, i) => now - (i < 10 ? 9.5 : 1) * hour),
    );
    commitAt(3, 0);
    await guard.look();
    await guard.look();
    log.truncate('images', 0, 5);
    await guard.look();
    commitAt(3, 5);
    await guard.look();
    log.truncate('images', 0, 8);
    await guard.look();
    expect(warnings).toEqual([
      'images, partition 0: offset 0, the oldest that operators.mix draws, may be removed in about 30 minutes by age (retention.ms); then operators.mix draws from what is left, and steps that drew what is gone cannot be replayed',
      'images, partition 0: offsets 0 to 4 were removed (5 records at most): the earliest left is 5; operators.mix draws from what is left, and steps that drew what is gone cannot be replayed',
    ]);
    expect(headrooms.get('archive images')).toMatchObject({ offset: 5, records: -3 });
    expect(headrooms.get('resume images')).toMatchObject({ records: 22 });
    guard.close();
  });

  test('names at the start what of the topics’ settings does not fit, and again when somebody changes one', async () => {
    const { log, guard, warnings, commitAt } = await guarded({ ...NONE, compacted: true }, []);
    log.keepingOf[topics.negatives] = {
      retentionMs: 60_000,
      retentionBytes: 5,
      compacted: true,
      maxRecordBytes: 1_000,
    };
    commitAt(1);
    for (let looks = 0; looks < 7; looks++) await guard.look();
    const about = (topic: string) => warnings.filter((warning) => warning.startsWith(`${topic} `));
    expect(about('images')).toHaveLength(1);
    expect(about(topics.negatives)).toEqual([
      'run.negatives is compacted, which removes what recovery needs: set its cleanup.policy to delete',
      'run.negatives removes records after 60 seconds: set its retention.ms to -1',
      'run.negatives removes records past 5 bytes: set its retention.bytes to -1',
      'run.negatives takes records of 1000 bytes at most: set its max.message.bytes to 1048588 or more',
    ]);
    guard.close();
  });
});
