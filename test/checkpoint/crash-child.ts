import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { openCommitter } from '../../src/checkpoint/commit.ts';
import type { OnEffect } from '../../src/checkpoint/effects.ts';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { recover } from '../../src/checkpoint/recover.ts';
import { openLog } from '../../src/log/open-log.ts';
import { progressFrom, SCENARIO, settings, trainAndCommit } from './scenario.ts';

/**
 * A trainer that kills itself, by the signal that no process can catch: `crash-child.ts LOG FOLDER COMMITS MOMENT`.
 * It recovers, makes COMMITS commits, and dies at the MOMENT-th moment (counted from 0 over all effects, before and
 * after each); with a MOMENT of -1 it lives. It writes a line of JSON for what it recovered, for each moment that it
 * reaches and for each commit that it was told of.
 */
const [url, folder, commits, moment] = process.argv.slice(2) as [string, string, string, string];
const say = (line: object) => writeSync(1, `${JSON.stringify(line)}\n`);

let reached = 0;
const onEffect: OnEffect = async (when, effect) => {
  say({ moment: reached, when, effect });
  if (reached++ !== Number(moment)) return;
  process.kill(process.pid, 'SIGKILL');
  await new Promise(() => undefined); // the signal may take its time; nothing more may happen meanwhile
};

const log = await openLog(url);
const store = await openFolderStore(join(folder, 'blobs'), { onEffect });
const committer = await openCommitter(settings(log, store, { onEffect, keepCommits: 2 }));
const recovered = await recover({ committer });
say({ recovered: recovered?.commit.step ?? 0 });
const progress = progressFrom(SCENARIO, recovered);
for (let i = 0; i < Number(commits); i++) {
  const report = await trainAndCommit(SCENARIO, committer, progress, 3);
  say({ committed: report.step });
}
await committer.close();
await log.close();
