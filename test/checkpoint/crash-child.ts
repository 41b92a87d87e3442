import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { openCommitter } from '../../src/checkpoint/commit.ts';
import { folderWitness } from '../../src/checkpoint/commit-witness.ts';
import type { OnEffect } from '../../src/checkpoint/effects.ts';
import { openStore } from '../../src/checkpoint/open-store.ts';
import { recover } from '../../src/checkpoint/recover.ts';
import { RepulsorError } from '../../src/errors.ts';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import { progressFrom, SCENARIO, settings, trainAndCommit } from './scenario.ts';

/**
 * A trainer that sends itself a signal: `crash-child.ts JSON`, a ChildTask. It recovers, makes its commits, and at the
 * chosen moment (the first of that name, or counted from 0 over all effects, before and after each) kills itself by the signal that no process can
 * catch, or stops until it is continued, as a machine does that was asleep. It writes a line of JSON for what it
 * recovered, for each moment that it reaches, for each commit that it was told of and for the error that ended it.
 */
export interface ChildTask {
  readonly url: string;
  readonly folder: string;
  /** Of the blobs. Default: below the folder. */
  readonly store?: string;
  readonly run: string;
  /** A consumer group; absent on a file log, where nobody looks at one. */
  readonly group?: string;
  readonly commits: number;
  /** Removes what no commit needs once it has recovered, too. */
  readonly collect?: boolean;
  /** -1 for none. */
  readonly moment: number | string;
  readonly signal: 'SIGKILL' | 'SIGSTOP';
}

export interface ChildLine {
  readonly recovered?: number;
  readonly moment?: string;
  readonly committed?: number;
  readonly failed?: string;
  readonly hint?: string;
}

const task = JSON.parse(process.argv[2]!) as ChildTask;
const say = (line: ChildLine) => writeSync(1, `${JSON.stringify(line)}\n`);

let reached = 0;
let chosen = false;
const onEffect: OnEffect = async (when, effect) => {
  const name = `${when} ${effect}`;
  say({ moment: name });
  if (chosen || (reached++ !== task.moment && name !== task.moment)) return;
  chosen = true;
  process.kill(process.pid, task.signal);
  if (task.signal === 'SIGKILL') await new Promise(() => undefined); // nothing more may happen until it takes effect
};

let log: Log | null = null;
try {
  log = await openLog(task.url);
  const store = await openStore(task.store ?? join(task.folder, 'blobs'), { onEffect });
  const committer = await openCommitter(
    settings(log, store, {
      run: task.run,
      group: task.group,
      onEffect,
      keep: { last: 2, every: null },
      witness: folderWitness(task.folder),
    }),
  );
  const recovered = await recover({ committer });
  say({ recovered: recovered?.commit.step ?? 0 });
  if (task.collect) committer.collect();
  const progress = progressFrom(SCENARIO, recovered);
  for (let i = 0; i < task.commits; i++) {
    const report = await trainAndCommit(SCENARIO, committer, progress, 3);
    say({ committed: report.step });
  }
  await committer.close();
} catch (error) {
  if (!(error instanceof RepulsorError)) throw error;
  say({ failed: error.code, hint: error.hint });
  process.exitCode = error.exitStatus;
}
await log?.close();
