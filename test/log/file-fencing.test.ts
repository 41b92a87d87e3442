import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import { Child } from './children.ts';
import { textsOf, values } from './logs-under-test.ts';

/** A writer that is paused at any point of a commit, taken over by another process, and goes on later. */

let dir: string;
let log: Log;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'repulsor-fencing-'));
  log = await openLog(`file:${dir}`);
});
afterAll(async () => {
  await log.close();
  await rm(dir, { recursive: true, force: true });
});

test.skipIf(process.platform === 'win32')(
  'stopped before each of its file operations in turn: what a takeover finds is what stays',
  async () => {
    const child = new Child('stopping-child.ts', dir);
    try {
      expect(await child.line()).toBe('ready');
      const outcomes: string[] = [];
      for (let k = 1; ; k++) {
        const topics = [`a${k}`, `b${k}`] as const;
        for (const topic of topics) await log.createTopic(topic);
        child.say(`id${k} ${topics[0]} ${topics[1]} ${k}`);
        const said = await child.line();
        if (said !== 'stopped') {
          expect(said).toBe('done committed');
          break;
        }
        await untilStopped(child.pid);
        const writer = await log.takeOver(`id${k}`);
        const found = await Promise.all(topics.map((topic) => textsOf(log, topic)));
        const transaction = await writer.begin();
        for (const topic of topics) await transaction.append(topic, values('new'));
        await transaction.commit();
        child.process.kill('SIGCONT');
        const outcome = (await child.line())!;
        outcomes.push(outcome);

        // Both topics or none; and the old writer knows which, but for a stop between the link and the folder's sync.
        expect(found, `stopped before operation ${k}, ${outcome}`).toEqual(
          topics.map(() => (outcome === 'committed' ? ['old, first', 'old, second'] : ['old, first'])),
        );
        expect(['committed', 'FENCED']).toContain(outcome);
        for (const [index, topic] of topics.entries()) {
          expect(await textsOf(log, topic), `operation ${k}`).toEqual([...found[index]!, 'new']);
        }
        const fresh = await openLog(`file:${dir}`);
        expect(await textsOf(fresh, topics[0]), `operation ${k}, read anew`).toEqual([...found[0]!, 'new']);
        await fresh.close();
        await writer.close();
      }
      // The stops were on both sides of the one operation that decides.
      expect(outcomes.filter((outcome) => outcome === 'FENCED').length).toBeGreaterThan(10);
      expect(outcomes.filter((outcome) => outcome === 'committed').length).toBeGreaterThan(1);
      expect(outcomes.lastIndexOf('FENCED')).toBeLessThan(outcomes.indexOf('committed'));
    } finally {
      await child.kill();
    }
  },
);

async function untilStopped(pid: number): Promise<void> {
  for (;;) {
    const state = await stateOf(pid);
    if (state === null || state === 'T') return;
    await sleep(5);
  }
}

/** Of all threads: one of libuv's may still be in a system call when the process as a whole is stopping. */
async function stateOf(pid: number): Promise<string | null> {
  try {
    const states: string[] = [];
    for (const thread of await readdir(`/proc/${pid}/task`)) {
      const stat = await readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8');
      states.push(stat.slice(stat.lastIndexOf(')') + 2)[0]!);
    }
    return states.every((state) => state === 'T') ? 'T' : 'running';
  } catch {
    await sleep(200); // no /proc here
    return null;
  }
}
