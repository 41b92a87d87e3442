import type { Command } from 'commander';
import { digits } from '../ingest/digits.ts';
import { imageFolder } from '../ingest/image-folder.ts';
import { ingest } from '../ingest/ingest.ts';
import { openLog } from '../log/open-log.ts';
import { openConsole } from './console.ts';
import { imageSize, wholeNumber } from './options.ts';

interface IngestOptions {
  readonly to: string;
  readonly topic: string;
  readonly size?: [number, number];
  readonly grey?: boolean;
  readonly batch: number;
  readonly partitions: number;
  readonly ifEmpty?: boolean;
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
    .option('--batch <n>', 'most images in a record', wholeNumber(1), 100)
    .option('--partitions <n>', 'of a new topic', wholeNumber(1), 1)
    .option('--if-empty', 'do nothing where the topic holds records already')
    .option('--json', 'one JSON object as the last line')
    .addHelpText('after', '\nExample:\n  repulsor ingest digits --to file:runs/log --topic more-digits')
    .action(async (name: string, options: IngestOptions) => {
      const console = openConsole(options.json ?? false);
      const builtIn = name === 'digits';
      const [height, width] = options.size ?? [0, 0];
      const size = options.size && { height, width, channels: options.grey ? (1 as const) : (3 as const) };
      const source = builtIn ? digits() : await imageFolder(name, size ? { size } : {});
      const log = await openLog(options.to);
      try {
        await log.createTopic(options.topic, { partitions: options.partitions });
        const counts = await ingest(log, options.topic, source, {
          batch: options.batch,
          time: Date.now(),
          // A folder may be larger than a transaction should be.
          atomic: builtIn,
          ifEmpty: options.ifEmpty ?? false,
          onProgress: ({ images }) => console.note(`${images} of ${source.total} images`),
        });
        for (const { name: file, unreadable } of counts.unreadable) console.warn(`${file}: ${unreadable}`);
        const { records, images, bytes, unreadable } = counts;
        console.result(
          {
            topic: options.topic,
            log: log.url,
            source: source.id,
            classes: source.classes,
            images,
            records,
            bytes,
            unreadable: unreadable.length,
          },
          records === 0
            ? `${options.topic} in ${log.url} holds records already: nothing appended`
            : `${images} images in ${records} records (${(bytes / 1e6).toFixed(1)} MB) appended to ${options.topic} in ${log.url}` +
                (unreadable.length > 0 ? `; ${unreadable.length} could not be read` : ''),
        );
      } finally {
        await log.close();
      }
    });
}
