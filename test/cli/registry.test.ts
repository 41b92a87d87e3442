import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import avro from 'avsc';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RegistryServer, startRegistry } from '../../scripts/apicurio.ts';
import { readSchema } from '../../src/codec/schemas.ts';
import { decode } from '../../src/codec/single-object.ts';
import { RepulsorError } from '../../src/errors.ts';
import { openLog } from '../../src/log/open-log.ts';
import { fillTopic, readRun, writeTinyModule } from '../trainer/tiny-run.ts';
import { jsonOf, runCommand } from './command.ts';

async function registryForTests(): Promise<RegistryServer | null> {
  try {
    return await startRegistry();
  } catch (error) {
    if (!(error instanceof RepulsorError) || error.code !== 'ENGINE_UNAVAILABLE') throw error;
    const what = `NOT TESTED HERE: records of a schema registry (${error.message}). ${error.hint}`;
    if (process.env.CI === 'true') test(what, () => expect.fail('CI must have Java and Maven'));
    else test.skip(what);
    console.warn(what);
    return null;
  }
}

const registry = await registryForTests();
afterAll(() => registry?.kill());

/** As a producer's serializer does it; the schema's id. */
async function register(schema: avro.Schema): Promise<number> {
  const response = await fetch(`${registry!.url}/subjects/images-value/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify(schema) }),
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { id: number }).id;
}

function framed(id: number, value: Uint8Array): Uint8Array {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(id, 1);
  return Buffer.concat([header, value]);
}

const buffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

describe.runIf(registry !== null)('a topic that a producer fills by a schema registry', () => {
  let folder: string;
  let pipeline: string;
  let log: string;
  const run = (name: string) => join(folder, name);
  const train = (name: string, topics: readonly string[], steps: number) =>
    runCommand([
      ...['train', pipeline, '--run', run(name), '--log', log, '--steps', `${steps}`, '--json'],
      ...topics.flatMap((topic) => ['--topic', topic]),
      ...['--set', `source.registry=${registry!.url}`],
    ]);
  const ok = async (end: ReturnType<typeof runCommand>) => {
    const result = await end;
    expect(result, result.stderr).toMatchObject({ code: 0 });
    return jsonOf(result);
  };

  /** The records of `plain` by two schemas of the producer's, the one with a field more and the other with one less than ours; and in `strange` one of no schema. */
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'repulsor-registry-'));
    pipeline = await writeTinyModule(folder, { evaluation: { images: 40 } });
    log = `file:${join(folder, 'log')}`;
    const ours = readSchema('image-batch') as { fields: { name: string }[] };
    const more = { ...ours, fields: [{ name: 'camera', type: 'string' }, ...ours.fields] } as avro.Schema;
    const less = { ...ours, fields: ours.fields.filter(({ name }) => name !== 'encoder') } as unknown as avro.Schema;
    const writers = [more, less].map((schema) => ({ id: register(schema), type: avro.Type.forSchema(schema) }));
    const opened = await openLog(log);
    await fillTopic(opened, 'plain');
    await opened.createTopic('framed', { partitions: 2 });
    const ranges = await Promise.all([0, 1].map((partition) => opened.offsets('plain', partition)));
    const to = new Map(ranges.map(({ end }, partition) => [partition, end]));
    let count = 0;
    for await (const { partition, value } of opened.read('plain', {
      from: new Map([...to].map(([p]) => [p, 0])),
      to,
    })) {
      const batch = decode('image-batch', value!);
      const { id, type } = writers[count++ % 2]!;
      const bytes = type.toBuffer({ ...batch, images: batch.images.map(buffer), camera: 'north' });
      await opened.append('framed', [{ partition, value: framed(await id, bytes) }]);
    }
    await opened.createTopic('strange');
    await opened.append('strange', [{ value: framed(9_999, new Uint8Array(3)) }]);
    await opened.close();
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('is shown with the registry; without, it is told what is missing', async () => {
    const show = ['log', 'show', log, 'framed', '--json'];
    const { records } = (await ok(runCommand([...show, '--registry', registry!.url]))) as { records: object[] };
    expect(records[0]).toMatchObject({ kind: 'image-batch', value: { shape: [28, 28, 1], encoder: null } });
    expect(records[1]).toMatchObject({ kind: 'image-batch' });
    const { records: blind } = (await ok(runCommand(show))) as { records: object[] };
    expect(blind[0]).toMatchObject({ kind: null, unreadable: expect.stringContaining('registry') });
  }, 100_000);

  test('has a registry that doctor tries, and one that is none is named with what to do', async () => {
    const doctor = (url: string) => runCommand(['doctor', '--engine', 'cpu', '--registry', url, '--json']);
    const { checks } = (await ok(doctor(registry!.url))) as { checks: object[] };
    expect(checks.at(-1)).toEqual({
      name: 'registry',
      ok: true,
      detail: `${registry!.url} answers as a schema registry`,
    });
    const wrong = await doctor(new URL('/nothing/here', registry!.url).href);
    expect(wrong.code).toBe(1);
    expect(JSON.parse(wrong.stdout.trim().split('\n').at(-1)!).checks.at(-1)).toMatchObject({
      ...{ name: 'registry', ok: false, detail: expect.stringContaining('HTTP status 404') },
      hint: expect.stringContaining('schema.registry.url'),
    });
  }, 100_000);

  test('is trained on; what has no schema there is set aside', async () => {
    await ok(train('framed-run', ['framed'], 33));
    await ok(train('strange-run', ['framed', 'strange'], 5));
    const { deadLetters, newest } = await readRun(run('strange-run'), log);
    expect(newest.step).toBe(5);
    expect(deadLetters).toMatchObject([{ topic: 'strange', offset: 0, reason: 'unknown_schema' }]);
  }, 200_000);

  test('is trained on further, replayed and measured when there is no registry any more, as images by our own schema are', async () => {
    await registry!.kill();
    await ok(train('framed-run', ['framed'], 61));
    await ok(train('plain-run', ['plain'], 61));
    const [framedRun, plain] = [await readRun(run('framed-run'), log), await readRun(run('plain-run'), log)];
    const bits = ({ steps }: typeof plain) => steps.map(({ terms, batchDigest }) => ({ terms, batchDigest }));
    expect(bits(framedRun)).toEqual(bits(plain));
    expect(await ok(runCommand(['replay', run('framed-run'), '--json']))).toMatchObject({ identical_through: 61 });
    const measured = await ok(runCommand(['evaluate', run('framed-run'), '--metrics', 'uniformity', '--json']));
    expect(JSON.stringify(measured)).toContain('"images":40');
  }, 300_000);
});
