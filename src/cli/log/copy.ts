import { runCut } from '../../checkpoint/run-cut.ts';
import { runTopics, transactionalId } from '../../checkpoint/run-id.ts';
import { RepulsorError } from '../../errors.ts';
import type { CopiedPartition, OnCopied } from '../../log/copy/copy-partition.ts';
import { copyTopics, copyWriterId, type TopicCopy } from '../../log/copy/copy-topics.ts';
import type { Log } from '../../log/log.ts';
import { lastingLogUrl } from '../../log/log-url.ts';
import { openLog } from '../../log/open-log.ts';
import { type CommittedRun, openRun } from '../../trainer/open-run.ts';
import { storedPipeline } from '../../trainer/stored-pipeline.ts';
import type { View } from '../view.ts';

interface CopyRequest {
  readonly topics?: string;
  readonly run?: string;
  readonly from?: number;
  readonly to?: number;
}

const EVERY_MS = 2_000;

/** Copies what was asked for, and compares it. @throws RepulsorError as `copyTopics` and `openRun` */
export async function copyLogs(
  sourceUrl: string,
  targetUrl: string,
  request: CopyRequest,
  note: (line: string) => void,
): Promise<View> {
  if (lastingLogUrl(sourceUrl) === lastingLogUrl(targetUrl))
    throw new RepulsorError('USAGE', 'the two logs are the same', { hint: 'Name another destination.' });
  const run = request.run === undefined ? null : await openRun(request.run, sourceUrl);
  const source: Log = run?.log ?? (await openLog(sourceUrl, { create: false }));
  try {
    const names = (request.topics ?? '').split(',').filter((topic) => topic !== '');
    const plain = [...new Set([...names, ...(run === null ? [] : inputsOf(run))])];
    const own = run === null ? [] : await topicsOf(run);
    const copies = [...plain.map((topic) => ({ topic, writerId: copyWriterId(topic) })), ...own];
    const target = await openLog(targetUrl);
    try {
      const { from, to } = request;
      const copied = await copyTopics(source, target, copies, { from, to, onCopied: teller(note) });
      const found = { source: source.url, destination: target.url, run: run?.folder.run ?? null, partitions: copied };
      return { found, text: copied.map(line).join('\n') };
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** What the run reads, by its last commit. */
function inputsOf({ newest }: CommittedRun): string[] {
  const inputs = newest.commit.position.next.map(({ topic }) => topic);
  const archive = storedPipeline(newest.commit).operators.mix?.topic ?? null;
  return archive === null ? inputs : [...inputs, archive];
}

/** The commits last: one that is in the copy has all that it names there too. A trainer may go on with them in the copy. */
async function topicsOf({ folder: { run }, log }: CommittedRun): Promise<TopicCopy[]> {
  const topics = runTopics(run);
  const ends = await runCut(log, run);
  return (['negatives', 'journal', 'deadLetters', 'commits'] as const).map((name) => ({
    topic: topics[name],
    writerId: transactionalId(run),
    ends: new Map([[0, ends[name]]]),
  }));
}

const line = ({ topic, partition, start, end, copied, records, bytes, sha256 }: CopiedPartition): string =>
  `${topic}/${partition}  ${start}..${end}  ${copied} copied, ${records} compared (${megabytes(bytes)}), sha256 ${sha256.slice(0, 16)}...`;

/** Tells people how far it is, now and then. */
function teller(note: (line: string) => void): OnCopied {
  let told = performance.now();
  let bytes = 0;
  return (progress) => {
    bytes += progress.bytes;
    const now = performance.now();
    if (now - told < EVERY_MS) return;
    const { cut, offset } = progress;
    const what = progress.bytes > 0 ? `copying at ${megabytes(bytes / ((now - told) / 1000))}/s` : 'comparing';
    note(`${cut.topic}/${cut.partition}: offset ${offset} of ${cut.start}..${cut.end}, ${what}`);
    told = now;
    bytes = 0;
  };
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
