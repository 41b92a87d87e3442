import type { Command } from 'commander';
import { RepulsorError } from '../errors.ts';
import { digits } from '../ingest/digits.ts';
import { holdOut } from '../ingest/held-out.ts';
import { imageFolder } from '../ingest/image-folder.ts';
import { inTurns } from '../ingest/in-turns.ts';
import { ingest, isEmpty } from '../ingest/ingest.ts';
import type { ImageSource } from '../ingest/source.ts';
import { openLog } from '../log/open-log.ts';
import { openImageReader } from '../registry/open-image-reader.ts';
import { openConsole } from './console.ts';
import type { EncodeOptions, Encoding } from './encoding.ts';
import { imageSize, positive, turnList, wholeNumber } from './options.ts';

interface IngestOptions extends Partial<EncodeOptions> {
  readonly to: string;
  readonly topic: string;
  readonly size?: [number, number];
  readonly grey?: boolean;
  readonly batch: number;
  readonly partitions: number;
  readonly inTurns?: number[][];
  readonly perTurn?: number;
  readonly heldOut?: string;
  readonly ifEmpty?: boolean;
  readonly registry?: string;
  readonly json?: boolean;
}

export function addIngest(program: Command): void {
  program
    .command('ingest')
    .description('write images into a topic: the built-in digits, or a folder with one subfolder a class')
    .argument('<source>', '"digits", or a folder')
    .requiredOption('--to <url>', 'the log: file:DIR or kafka://host:port,...')
    .requiredOption('--topic <name>', 'made when it is not there')
    .option('--size <HxW>', 'scale and cut every image of a folder to this, as raw pixels', imageSize)
    .option('--grey', 'with --size: one channel instead of three')
    .option(
      '--encode <model>',
      "latents instead of images: an autoencoder's encoder.onnx, or a folder that holds both its halves",
    )
    .option(
      '--decoder <file>',
      "with --encode: the other half, so that samples are decoded by no other (default: the folder's)",
    )
    .option(
      '--scale <factor>',
      "with --encode: what latents are multiplied by (default: the folder's, or 0.18215)",
      positive,
    )
    .option('--mean', 'with --encode: keep the mean alone (default: mean and deviation, drawn from at each step)')
    .option('--sample', 'with --encode: keep one draw, the same each time')
    .option(
      '--mirror',
      'with --encode: each image mirrored left to right too, which operators.flip cannot do to latents',
    )
    .option('--batch <n>', 'most images in a record', wholeNumber(1), 100)
    .option('--partitions <n>', 'of a new topic', wholeNumber(1), 1)
    .option('--in-turns <classes>', 'classes one group after the other, such as 0-1,2-3,4-9', turnList)
    .option('--per-turn <n>', 'with --in-turns: images of each, over and over (default: each once)', wholeNumber(1))
    .option('--held-out <topic>', 'every tenth image there instead, never to be trained on: to measure a model by')
    .option('--registry <url>', "the schema registry of what Confluent's serializers have put into the topic already")
    .option('--if-empty', 'do nothing where the topic holds records already')
    .option('--json', 'one JSON object as the last line')
    .addHelpText(
      'after',
      `
Examples:
  repulsor ingest digits --to file:runs/log --topic more-digits
  repulsor ingest digits --to file:runs/log --topic digits --held-out digits-held-out --if-empty
  repulsor ingest digits --to file:runs/log --topic latents --encode runs/vae
  repulsor ingest digits --to file:runs/log --topic digits-in-turns --in-turns 0-1,2-3,4-5,6-7,8-9 --per-turn 4000`,
    )
    .action(async (name: string, options: IngestOptions) => {
      const console = openConsole(options.json ?? false);
      const builtIn = name === 'digits';
      const [height, width] = options.size ?? [0, 0];
      const size = options.size && { height, width, channels: options.grey ? (1 as const) : (3 as const) };
      const whole = builtIn ? digits() : await imageFolder(name, size ? { size } : {});
      const { inTurns: turns, perTurn = null } = options;
      if (turns === undefined && perTurn !== null)
        throw new RepulsorError('USAGE', '--per-turn goes with --in-turns', {
          hint: 'repulsor ingest --help shows both',
        });
      const { topic, heldOut = null, ifEmpty = false } = options;
      if (heldOut === topic)
        throw new RepulsorError('USAGE', `--held-out ${topic} is the topic that is trained on`, {
          hint: `name another, such as ${topic}-held-out`,
        });
      const parts = heldOut === null ? { train: whole, heldOut: null } : holdOut(whole);
      const read = openImageReader(options.registry ?? null, { onWarning: console.warn });
      const log = await openLog(options.to);
      try {
        await log.createTopic(topic, { partitions: options.partitions });
        // First what is held out: a topic that is full never lacks it. Into a full one nothing comes, nor beside it.
        const nothing = ifEmpty && !(await isEmpty(log, topic));
        const held = heldOut === null || nothing ? null : await write(heldOut, parts.heldOut!);
        const trained = turns === undefined ? parts.train : inTurns(parts.train, { turns, perTurn });
        const { source, counts, encoded } = await write(topic, trained);
        const { records, images, bytes, unreadable } = counts;
        const [topicFull, besides] = [`${topic} in ${log.url}`, heldOut === null ? '' : `, nor to ${heldOut}`];
        console.result(
          {
            topic,
            log: log.url,
            source: source.id,
            classes: source.classes,
            images,
            records,
            bytes,
            unreadable: unreadable.length,
            ...(heldOut !== null && { held_out: { topic: heldOut, images: held?.counts.images ?? 0 } }),
            ...encoded?.found,
          },
          records === 0
            ? `${topicFull} holds records already: nothing appended${besides}`
            : `${images} images in ${records} records (${(bytes / 1e6).toFixed(1)} MB) appended to ${topicFull}` +
                (held === null ? '' : `, ${held.counts.images} others to ${heldOut}`) +
                (unreadable.length > 0 ? `; ${unreadable.length} could not be read` : '') +
                (encoded === undefined ? '' : `\n${encoded.text}`),
        );
      } finally {
        await log.close();
      }

      async function write(into: string, images: ImageSource) {
        const encoding = await encodingOf(images, options);
        const source = encoding?.source ?? images;
        try {
          await log.createTopic(into, { partitions: options.partitions });
          const counts = await ingest(log, into, source, {
            batch: options.batch,
            time: Date.now(),
            // A folder may be larger than a transaction should be.
            atomic: builtIn,
            ifEmpty,
            encoder: encoding?.encoder ?? null,
            read,
            onProgress: ({ images: done }) => console.note(`${done} of ${source.total} images`),
          });
          for (const { name: file, unreadable } of counts.unreadable) console.warn(`${file}: ${unreadable}`);
          const encoded = counts.records === 0 ? undefined : encoding?.summary();
          for (const line of encoded?.warnings ?? []) console.warn(line);
          return { source, counts, encoded };
        } finally {
          await encoding?.close();
        }
      }
    });
}

/** Null where images are stored as they are. The runtime is loaded where it is needed. */
async function encodingOf(images: ImageSource, options: IngestOptions): Promise<Encoding | null> {
  const { encode, ...rest } = options;
  if (encode !== undefined) return (await import('./encoding.ts')).openEncoding(images, { ...rest, encode });
  const alone = (['decoder', 'scale', 'mean', 'sample', 'mirror'] as const).find((name) => options[name] !== undefined);
  if (alone === undefined) return null;
  throw new RepulsorError('USAGE', `--${alone} says how images are encoded; no encoder is named`, {
    hint: 'name it: --encode encoder.onnx',
  });
}
