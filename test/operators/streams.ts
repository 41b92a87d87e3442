import fc from 'fast-check';
import { encode } from '../../src/codec/single-object.ts';
import type { Log } from '../../src/log/log.ts';
import type { Batch } from '../../src/operators/batch.ts';
import { type BatchesSettings, openBatches } from '../../src/operators/batches.ts';
import type { StreamPosition } from '../../src/operators/position.ts';
import { MemoryLog } from './memory-log.ts';
import { storedPosition } from './stored-position.ts';

/** A topic to be: for each record its partition and images, or what else lies there. */
export interface TopicPlan {
  readonly partitions: number;
  readonly records: readonly RecordPlan[];
}

export type RecordPlan =
  | { readonly kind: 'images'; readonly partition: number; readonly count: number; readonly bad: readonly number[] }
  | { readonly kind: 'tombstone' | 'garbage' | 'gap'; readonly partition: number };

export const topicPlans: fc.Arbitrary<TopicPlan> = fc.integer({ min: 1, max: 4 }).chain((partitions) => {
  const partition = fc.nat(partitions - 1);
  const images = fc.record({
    kind: fc.constant('images' as const),
    partition,
    count: fc.integer({ min: 1, max: 5 }),
    bad: fc.oneof(
      { weight: 4, arbitrary: fc.constant<number[]>([]) },
      { weight: 1, arbitrary: fc.array(fc.nat(4), { maxLength: 2 }) },
    ),
  });
  const other = fc.record({
    kind: fc.constantFrom('tombstone' as const, 'garbage' as const, 'gap' as const),
    partition,
  });
  return fc.record({
    partitions: fc.constant(partitions),
    records: fc
      .array(fc.oneof({ weight: 4, arbitrary: images }, { weight: 1, arbitrary: other }), {
        minLength: 1,
        maxLength: 14,
      })
      .filter((records) => records.some((record) => record.kind === 'images' && record.bad.length === 0)),
  });
});

/** One to three topics. */
export const sourcePlans: fc.Arbitrary<readonly TopicPlan[]> = fc.array(topicPlans, { minLength: 1, maxLength: 3 });

export const SHAPE = [1, 2, 1] as const;

/** An image of SHAPE that says which one it is; `bad` ones have the wrong length. */
const imageOf = (record: number, index: number, bad: boolean): Uint8Array =>
  bad ? Uint8Array.of(1) : Uint8Array.of(record, index);

export function imageBatch(record: number, count: number, bad: readonly number[] = []): Uint8Array {
  const indices = Array.from({ length: count }, (_, index) => index);
  return encode('image-batch', {
    shape: [...SHAPE],
    encoding: 'RAW_U8',
    images: indices.map((index) => imageOf(record, index, bad.includes(index))),
    labels: record % 3 === 0 ? null : indices.map((index) => (record + index) % 10),
    eventTime: 1_000 * record,
    source: '',
    encoder: null,
  });
}

function valueFor(record: RecordPlan, i: number): Uint8Array | null {
  if (record.kind === 'images') return imageBatch(i, record.count, record.bad);
  return record.kind === 'tombstone' ? null : Uint8Array.of(1, 2, 3);
}

/** Writes the plan into the topic. No image of one with another `first` is the same. */
export async function write(log: MemoryLog, plan: TopicPlan, topic = 'images', first = 0): Promise<void> {
  await log.createTopic(topic, { partitions: plan.partitions });
  for (const [i, record] of plan.records.entries()) {
    const { partition } = record;
    if (record.kind === 'gap') log.skipOffsets(topic, partition, 2);
    else await log.append(topic, [{ partition, value: valueFor(record, first + i) }]);
  }
}

/** Writes each plan into a topic of its own; their names, sorted. */
export async function writeAll(log: MemoryLog, plans: readonly TopicPlan[]): Promise<string[]> {
  const topics = plans.map((_, i) => `images-${i}`);
  for (const [i, plan] of plans.entries()) await write(log, plan, topics[i], 50 * i);
  return topics;
}

export const SETTINGS: BatchesSettings = {
  topics: ['images'],
  position: null,
  epochs: 1,
  seed: 5,
  shape: SHAPE,
  classes: 10,
  window: 1,
  mix: null,
  flip: false,
  latentScale: 1,
  size: 1,
  depth: 2,
  badRecords: { share: 1, over: 10 },
};

/** Every batch to the end, or the first `most`. */
export async function take(
  log: Log,
  settings: Partial<BatchesSettings>,
  most = Number.POSITIVE_INFINITY,
): Promise<Batch[]> {
  const stream = openBatches(log, { ...SETTINGS, ...settings });
  const batches: Batch[] = [];
  try {
    while (batches.length < most) {
      const batch = await stream.next();
      if (batch === null) break;
      batches.push(batch);
    }
  } finally {
    await stream.close();
  }
  return batches;
}

/** `topic/partition/offset#index` of every sample. */
export const fullNames = (batches: readonly Batch[]): string[] =>
  batches.flatMap(({ ids }) =>
    ids.map(({ topic, partition, offset, index }) => `${topic}/${partition}/${offset}#${index}`),
  );

/** `partition/offset#index` of every sample. */
export const names = (batches: readonly Batch[]): string[] =>
  batches.flatMap(({ ids }) => ids.map(({ partition, offset, index }) => `${partition}/${offset}#${index}`));

/** The same by several lives, one after the other: each takes so many batches at most, and goes on from what was stored; the last takes the rest. */
export async function takeInPieces(
  log: MemoryLog,
  settings: Partial<BatchesSettings>,
  cuts: readonly number[],
): Promise<Batch[]> {
  const pieces: Batch[] = [];
  let position: StreamPosition | null = null;
  for (const most of [...cuts, Number.POSITIVE_INFINITY]) {
    const piece = await take(log, { ...settings, position }, most);
    pieces.push(...piece);
    const last = piece.at(-1);
    if (last !== undefined) position = storedPosition(last.position);
  }
  return pieces;
}

/** A log whose topic `images` holds records of these values. */
export async function topicOf(values: readonly (Uint8Array | null)[]): Promise<MemoryLog> {
  const log = new MemoryLog();
  await log.createTopic('images');
  await log.append(
    'images',
    values.map((value) => ({ value })),
  );
  return log;
}
