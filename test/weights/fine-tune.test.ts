import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { readState } from '../../src/checkpoint/restore.ts';
import type { HostTensors } from '../../src/engine/engine.ts';
import type { Log } from '../../src/log/log.ts';
import { encodeWeights, officialState } from '../../src/weights/export-weights.ts';
import { importRun } from '../../src/weights/import-run.ts';
import { openWeights } from '../../src/weights/open-weights.ts';
import { openTinyGround, type TinyGround } from '../trainer/tiny-ground.ts';
import { tinyPipeline } from '../trainer/tiny-run.ts';

let ground: TinyGround;
let log: Log;
beforeAll(async () => {
  ground = await openTinyGround('cpu');
  ({ log } = ground);
});
afterAll(() => ground.close());

const store = (run: string) => ground.store(run);
const model = tinyPipeline().model;
const withoutHead = (blob: HostTensors) =>
  Object.fromEntries(Object.entries(blob).filter(([name]) => !name.startsWith('head.')));

test('weights that one run trained, exported and imported, are what another begins with, and trains on', async () => {
  await ground.train('first', tinyPipeline({ steps: 3 }));
  const trained = await readState({ log, store: await store('first'), run: 'first' });
  const sets = Object.fromEntries(
    ['model', 'ema'].map((name) => [name, officialState(trained.state[name]!, model, null)] as const),
  );
  const path = join(ground.folder, 'both.pt');
  await writeFile(path, Buffer.concat([...encodeWeights(sets, 'pt-names', {}).chunks()]));

  const file = await openWeights(path);
  const imported = tinyPipeline({ losses: { repulsion: null } });
  const { run } = await importRun(file, imported, join(ground.folder, 'imported'), log);
  await file.close();
  const there = await readState({ log, store: await openFolderStore(run.blobs), run: run.run });
  expect(there.commit).toMatchObject({ step: 0, generation: 1, position: { samples: 0 } });
  for (const name of ['model', 'ema']) expect(there.state[name]).toEqual(withoutHead(trained.state[name]!));

  // The projection and the slow copy, which a file of weights has not, begin anew.
  const origin = {
    run: run.run,
    step: null,
    open: async () => ({ log, store: await openFolderStore(run.blobs), run: run.run }),
  };
  const beginning = { from: origin, since: null };
  await ground.train('second', tinyPipeline({ steps: 4 }), { beginning });
  const begun = await readState({ log, store: await store('second'), run: 'second' }, { step: 0 });
  for (const name of ['model', 'ema']) expect(withoutHead(begun.state[name]!)).toEqual(there.state[name]);
  expect(begun.state['model']!['head.0.weight']!.data.some((v) => v !== 0)).toBe(true);
  expect(begun.state['keys']).toEqual(begun.state['model']);
  const after = await readState({ log, store: await store('second'), run: 'second' });
  expect(after.commit.step).toBe(4);
  expect(after.state['model']).not.toEqual(begun.state['model']);
}, 120_000);
