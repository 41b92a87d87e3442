/**
 * The protocol's trainer (test/checkpoint/crash-child.ts) with a defect in it, so that the campaign can be seen to fail.
 * Nothing of the product is changed: what is handed to it is wrapped.
 */

import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { type CommitRequest, openCommitter } from '../../src/checkpoint/commit.ts';
import type { OnEffect } from '../../src/checkpoint/effects.ts';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { journalEntry, samplesOf } from '../../src/checkpoint/journal.ts';
import { recover } from '../../src/checkpoint/recover.ts';
import type { BlobContent, BlobStore } from '../../src/checkpoint/store.ts';
import { RepulsorError } from '../../src/errors.ts';
import type { Log, NewRecord } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { ChildLine, ChildTask } from '../checkpoint/crash-child.ts';
import { advance, progressFrom, SCENARIO, settings } from '../checkpoint/scenario.ts';

export type Defect =
  | 'not fenced' // it takes the run over again at each commit, so that nobody ever fences it
  | 'record before blobs' // the commit is made before its blobs are written
  | 'told before committed' // it is told of commits that are still to be made
  | 'a batch again'; // its input begins one batch too early after a recovery

const task = JSON.parse(process.argv[2]!) as ChildTask & { readonly broken: Defect };
const say = (line: ChildLine) => writeSync(1, `${JSON.stringify(line)}\n`);

let reached = 0;
let afterCommit: () => Promise<unknown> = async () => {};
const onEffect: OnEffect = async (when, effect) => {
  say({ moment: `${when} ${effect}` });
  if (reached++ !== task.moment) return;
  process.kill(process.pid, task.signal);
  if (task.signal === 'SIGKILL') await new Promise(() => undefined);
};

function lateStore(store: BlobStore): BlobStore {
  const late: (() => Promise<unknown>)[] = [];
  afterCommit = async () => {
    for (const put of late.splice(0)) await put();
  };
  return {
    ...store,
    async put(content: BlobContent, owner: number) {
      const hash = createHash('sha256');
      for (const chunk of content.chunks()) hash.update(chunk);
      late.push(() => store.put(content, owner));
      return { ref: { sha256: hash.digest('hex'), bytes: content.bytes }, written: true };
    },
  };
}

/** The log, whose transactions are written in one go at their commit: by a new take-over each, or once the commit was told of. */
function brokenLog(log: Log, defect: 'not fenced' | 'told before committed'): Log {
  return new Proxy(log, {
    get(target, name) {
      if (name !== 'takeOver') {
        const value = Reflect.get(target, name, target) as unknown;
        return typeof value === 'function' ? value.bind(target) : value;
      }
      return async (id: string) => {
        const writer = await target.takeOver(id);
        return {
          epoch: writer.epoch,
          close: () => writer.close(),
          async begin() {
            const held: [string, readonly NewRecord[]][] = [];
            return {
              async append(topic: string, records: readonly NewRecord[]) {
                const { end } = await target.offsets(topic, 0);
                const before = held.filter(([to]) => to === topic).reduce((sum, [, some]) => sum + some.length, 0);
                held.push([topic, records]);
                return records.map((_, i) => ({ partition: 0, offset: end + before + i }));
              },
              async sendOffsets() {},
              async abort() {},
              async commit() {
                const make = async () => {
                  const again = defect === 'not fenced' ? await target.takeOver(id) : writer;
                  const transaction = await again.begin();
                  for (const [topic, records] of held) await transaction.append(topic, records);
                  await transaction.commit();
                };
                if (defect === 'not fenced') await make();
                else setTimeout(make, 500);
              },
            };
          },
        };
      };
    },
  });
}

/** The journal, whose samples are those of the step before. */
function shifted(request: CommitRequest, previous: Uint8Array): CommitRequest {
  let digest = previous;
  const journal = request.journal.map((entry) => {
    const samples = samplesOf(entry).map((sample) => ({ ...sample, offset: sample.offset - 1 }));
    const made = journalEntry(digest, { ...entry, samples });
    ({ digest } = made);
    return made;
  });
  return { ...request, journal };
}

const opened = await openLog(task.url);
const log =
  task.broken === 'not fenced' || task.broken === 'told before committed' ? brokenLog(opened, task.broken) : opened;
try {
  const folder = await openFolderStore(join(task.folder, 'blobs'), { onEffect });
  const store = task.broken === 'record before blobs' ? lateStore(folder) : folder;
  const committer = await openCommitter(settings(log, store, { run: task.run, onEffect }));
  const recovered = await recover({ committer });
  say({ recovered: recovered?.commit.step ?? 0 });
  const progress = progressFrom(SCENARIO, recovered);
  for (let i = 0; i < task.commits; i++) {
    const previous = progress.journalDigest;
    const request = advance(SCENARIO, progress, 3);
    const { step } = await committer.commit(task.broken === 'a batch again' ? shifted(request, previous) : request);
    say({ committed: step });
    await afterCommit();
  }
  await committer.close();
} catch (error) {
  if (!(error instanceof RepulsorError)) throw error;
  say({ failed: error.code, hint: error.hint });
  process.exitCode = error.exitStatus;
}
await opened.close();
