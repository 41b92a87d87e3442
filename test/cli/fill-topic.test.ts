import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { fillTopic } from '../../src/cli/fill-topic.ts';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import { fillTopic as fillWith200, tinyPipeline } from '../trainer/tiny-run.ts';

let folder: string;
let log: Log;
const said: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-fill-'));
  log = await openLog(`file:${folder}`);
});
afterAll(async () => {
  await log.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  said.length = 0;
});

const console = { note: (line: string) => said.push(line), warn: (line: string) => said.push(`warning: ${line}`) };
function onDigits(topic: string, measured: string | null): Pipeline {
  const tiny = tinyPipeline();
  return {
    ...tiny,
    source: { ...tiny.source, topic, ingest: 'digits' },
    evaluation: { ...tiny.evaluation, topic: measured },
  };
}
const ends = async (...topics: string[]) => Promise.all(topics.map(async (topic) => (await log.offsets(topic, 0)).end));

test('a topic that a run is measured by gets what is held out, once; without one, all are trained on', async () => {
  await fillTopic(log, onDigits('digits', 'held'), console);
  expect(said.slice(1)).toEqual(['1000 images in 10 records, held out, in topic held', '9000 images in 90 records']);
  await fillTopic(log, onDigits('digits', 'held'), console);
  expect(said).toHaveLength(3);
  expect(await ends('digits', 'held')).toEqual([90, 10]);
  await fillTopic(log, onDigits('all', null), console);
  expect(await ends('all')).toEqual([100]);
});

test('a topic that is full already has held nothing out: it is told, and nothing is written', async () => {
  await fillWith200(log, 'full');
  await fillTopic(log, onDigits('full', 'none'), console);
  expect(said).toEqual([
    expect.stringMatching(/^warning: topic full is full and none is empty: no image was held out/),
  ]);
  expect(await log.topics()).not.toContain('none');
});
