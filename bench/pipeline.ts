import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { wholeNumber } from '../src/cli/options.ts';
import { ingest } from '../src/ingest/ingest.ts';
import { openLog } from '../src/log/open-log.ts';
import { type Benchmark, type BenchmarkResult, type Goal, goal } from './benchmark.ts';
import { type Encoding, IMAGE_BYTES, imagesOf, writeImages } from './pipeline/images.ts';
import { startKafkajs, startKcat, startOurs, startStreaming, startTraining, type Way } from './pipeline/ways.ts';
import { type Spread, spread } from './spread.ts';
import { megabytes, short, type Table } from './table.ts';
import { ratios } from './turns.ts';

interface Options {
  readonly images: number;
  readonly pngs: number;
  readonly batch: number;
  readonly window: number;
  readonly rounds: number;
  readonly kafka: boolean;
  readonly peers: boolean;
  readonly training: boolean;
  readonly dir: string;
}

export const benchmark: Benchmark = {
  summary:
    'images a second from a log into batches, against kafkajs, kcat, mosaicml-streaming and what training uses up',
  options: (command) =>
    command
      .option('--images <n>', 'raw images in the topic', wholeNumber(1_000), 40_000)
      .option('--pngs <n>', 'and as PNG files', wholeNumber(1_000), 8_000)
      .option('--batch <n>', 'images in a batch', wholeNumber(1), 64)
      .option('--window <n>', 'images in a shuffle window', wholeNumber(1), 4_096)
      .option('--rounds <n>', 'turns of each', wholeNumber(1), 7)
      .option('--no-kafka', 'without a broker (Java 17 and Maven)')
      .option('--no-peers', 'without mosaicml-streaming and kcat (bench/peers/setup)')
      .option('--no-training', 'without the train step of shape a')
      .option('--dir <folder>', 'where the images are written, and removed again', tmpdir())
      .addHelpText(
        'after',
        '\nExample:\n  npm run bench -- pipeline --images 5000 --rounds 3 --no-kafka --no-peers --json',
      ),
  run: (options, note) => measure(options as unknown as Options, note),
};

interface WayFigures {
  readonly images_per_second: Spread;
  readonly bytes_per_second: Spread;
  /** Of all threads of its process, an image; null where it cannot be seen. */
  readonly cpu_seconds_per_image: Spread | null;
  readonly runs_on: string;
}

async function measure(options: Options, note: (line: string) => void): Promise<BenchmarkResult> {
  const scratch = await mkdtemp(join(options.dir, 'repulsor-pipeline-'));
  const broker = options.kafka
    ? await (await import('../scripts/kafka/broker.ts')).startBroker({ dir: join(scratch, 'broker'), say: note })
    : null;
  const ways = new Map<string, Way>();
  try {
    const file = join(scratch, 'images');
    await writeImages(file, Math.max(options.images, options.pngs));
    const fileLog = `file:${join(scratch, 'log')}`;
    const records = await fill(fileLog, file, options, note);
    const start = async (name: string, starting: Promise<Way>): Promise<void> => {
      note(`${name}: starting ...`);
      ways.set(name, await starting);
    };
    const { batch, window, images, pngs } = options;
    await start('file, raw', startOurs({ log: fileLog, topic: 'raw_u8', batch, window }));
    await start('file, PNG', startOurs({ log: fileLog, topic: 'png', batch, window }));
    if (broker !== null) {
      await fill(broker.url, file, options, note);
      const topic = { log: broker.url, topic: 'raw_u8' };
      await start('Kafka, raw', startOurs({ ...topic, batch, window }));
      await start('kafkajs alone', startKafkajs({ ...topic, records, maxBytesPerPartition: null }, images));
      await start(
        'kafkajs alone, 8 MB a fetch',
        startKafkajs({ ...topic, records, maxBytesPerPartition: 8 << 20 }, images),
      );
      const single = { log: broker.url, topic: SINGLE };
      await start('Kafka, raw, an image a record', startOurs({ ...single, batch, window }));
      await start(
        'kafkajs, an image a record',
        startKafkajs({ ...single, records: images, maxBytesPerPartition: 8 << 20 }, images),
      );
      await start('Kafka, PNG', startOurs({ ...topic, topic: 'png', batch, window }));
      if (options.peers) await start('kcat alone', startKcat(broker.port, 'raw_u8', images));
    }
    if (options.peers)
      for (const [encoding, count] of [
        ['RAW_U8', images],
        ['PNG', pngs],
      ] as const)
        for (const workers of [0, availableParallelism()]) {
          const name = `mosaicml-streaming, ${encoding === 'PNG' ? 'PNG' : 'raw'}, ${workers} workers`;
          const folder = join(scratch, `mds-${encoding}-${workers}`);
          await mkdir(folder);
          await start(name, startStreaming({ images: file, folder, count, encoding, batch, workers }));
        }
    if (options.training) await start('training, shape a', startTraining());
    note(`${options.rounds} rounds ...`);
    return resultOf(await inRounds(options.rounds, ways), ways, options);
  } finally {
    for (const way of ways.values()) await way.end();
    await broker?.stop();
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Raw images, each a record of its own. */
const SINGLE = 'single';

/** The same images raw and as PNG, each in a topic of two partitions. Returns how many records the raw ones took. */
async function fill(url: string, file: string, options: Options, note: (line: string) => void): Promise<number> {
  const log = await openLog(url);
  let raw = 0;
  try {
    for (const [topic, encoding, count, batch] of [
      ['raw_u8', 'RAW_U8', options.images, 100],
      ['png', 'PNG', options.pngs, 100],
      ...(url.startsWith('kafka') ? ([[SINGLE, 'RAW_U8', options.images, 1]] as const) : []),
    ] as const) {
      note(`${count} images ${encoding} into ${log.url.replace(/^file:.*/, 'a file log')} ...`);
      await log.createTopic(topic, { partitions: 2 });
      const images = imagesOf(file, encoding satisfies Encoding, count);
      const { records } = await ingest(log, topic, images, { time: 0, batch });
      if (topic === 'raw_u8') raw = records;
    }
  } finally {
    await log.close();
  }
  return raw;
}

type Turns = Map<string, { readonly imagesPerSecond: number[]; readonly cpuPerImage: number[] }>;

/** Each way once a round, each round beginning with another. */
async function inRounds(rounds: number, ways: ReadonlyMap<string, Way>): Promise<Turns> {
  const names = [...ways.keys()];
  const turns: Turns = new Map(names.map((name) => [name, { imagesPerSecond: [], cpuPerImage: [] }]));
  for (let round = 0; round < rounds; round++)
    for (let i = 0; i < names.length; i++) {
      const name = names[(round + i) % names.length]!;
      const { images, seconds, cpu_seconds } = await ways.get(name)!.turn();
      turns.get(name)!.imagesPerSecond.push(images / seconds);
      if (cpu_seconds !== null) turns.get(name)!.cpuPerImage.push(cpu_seconds / images);
    }
  return turns;
}

function resultOf(turns: Turns, ways: ReadonlyMap<string, Way>, options: Options): BenchmarkResult {
  const rates = (name: string): readonly number[] => turns.get(name)?.imagesPerSecond ?? [];
  const fastest = (prefix: string): string | undefined =>
    [...turns.keys()]
      .filter((name) => name.startsWith(prefix))
      .toSorted((a, b) => spread(rates(b)).median - spread(rates(a)).median)[0];
  const found: Record<string, Spread> = {};
  const goals: Record<string, Goal> = {};
  const compare = (name: string, of: string, over: string | undefined, bound: number): void => {
    if (over === undefined || !turns.has(of) || !turns.has(over)) return;
    found[`${of} / ${over}`] = ratios(rates(of), rates(over));
    goals[name] = goal(found[`${of} / ${over}`]!.median, '>=', bound);
  };
  compare('file_over_training_a', 'file, raw', 'training, shape a', 20);
  compare('kafka_over_training_a', 'Kafka, raw', 'training, shape a', 20);
  compare('kafka_over_kafkajs', 'Kafka, raw', fastest('kafkajs alone'), 0.7);
  compare('file_over_streaming', 'file, raw', fastest('mosaicml-streaming, raw'), 1);
  compare('png_over_streaming', 'file, PNG', fastest('mosaicml-streaming, PNG'), 1);
  const [ours, theirs] = ['Kafka, raw, an image a record', 'kafkajs, an image a record'];
  if (turns.has(ours) && turns.has(theirs)) found[`${ours} / ${theirs}`] = ratios(rates(ours), rates(theirs));
  if (turns.has('kcat alone') && turns.has('Kafka, raw'))
    found['Kafka, raw / kcat alone'] = ratios(rates('Kafka, raw'), rates('kcat alone'));
  const cpu = (name: string): readonly number[] => turns.get(name)?.cpuPerImage ?? [];
  const kafkajs = fastest('kafkajs alone');
  if (kafkajs !== undefined) found[`CPU an image: ${kafkajs} / Kafka, raw`] = ratios(cpu(kafkajs), cpu('Kafka, raw'));
  const figures: Record<string, WayFigures> = {};
  for (const [name, { imagesPerSecond, cpuPerImage }] of turns)
    figures[name] = {
      images_per_second: spread(imagesPerSecond),
      bytes_per_second: spread(imagesPerSecond.map((rate) => rate * IMAGE_BYTES)),
      cpu_seconds_per_image: cpuPerImage.length === 0 ? null : spread(cpuPerImage),
      runs_on: ways.get(name)!.runsOn,
    };
  const { images, pngs, batch, window, rounds } = options;
  return {
    figures: { images, pngs, batch, window, rounds, ways: figures, ratios: found },
    goals,
    tables: tablesOf(figures, found, options),
  };
}

function tablesOf(figures: Record<string, WayFigures>, found: Record<string, Spread>, options: Options): Table[] {
  const between = ({ median, min, max }: Spread): string => `${short(median)} (${short(min)}..${short(max)})`;
  return [
    {
      title: `Images of 32 x 32 x 3, batches of ${options.batch}, shuffled in windows of ${options.window}: median (least..most) over turns`,
      columns: ['', 'images/s', 'pixels/s', 'CPU us an image', 'runs on'],
      rows: Object.entries(figures).map(([name, way]) => [
        name,
        between(way.images_per_second),
        megabytes(way.bytes_per_second.median),
        way.cpu_seconds_per_image === null ? '-' : short(way.cpu_seconds_per_image.median * 1e6),
        way.runs_on,
      ]),
    },
    {
      title: 'Images/s of one over the other, turn by turn',
      columns: ['', 'ratio'],
      rows: Object.entries(found).map(([name, ratio]) => [name, between(ratio)]),
    },
  ];
}
