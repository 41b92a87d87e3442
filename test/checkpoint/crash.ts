import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { openStore } from '../../src/checkpoint/open-store.ts';
import { readState } from '../../src/checkpoint/restore.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { ChildLine, ChildTask } from './crash-child.ts';
import { expectLogExact, expectWhole, SCENARIO } from './scenario.ts';

const CHILD = fileURLToPath(new URL('crash-child.ts', import.meta.url));

export interface ChildLife {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  readonly stderr: string;
  readonly recovered: number | null;
  /** Steps of the commits that it was told of. */
  readonly committed: number[];
  /** "before write", "after write", ... as far as it came. */
  readonly moments: string[];
  /** Code of the error that ended it, and its hint. */
  readonly failed: string | null;
  readonly hint: string | null;
}

export interface LifeOptions {
  readonly commits: number;
  readonly collect?: boolean;
  /** Where it kills itself: the first moment of that name, or the moment of that number. Default: nowhere. */
  readonly moment?: number | string;
  /** It stops at the moment instead, and is continued once this settles. */
  readonly whileStopped?: () => Promise<void>;
  /** Kills it from outside, so long after its first sign of life, at whatever it is doing then. */
  readonly killAfterMs?: number;
  /** Size, in units of 512 bytes, past which the system lets it write no file. */
  readonly fileLimit?: number;
}

/** The run that lives are spent on. */
export interface Place {
  readonly url: string;
  /** Its blobs are below, but where `store` names another place. */
  readonly folder: string;
  readonly store?: string;
  readonly run: string;
  readonly group?: string;
}

/** Runs crash-child.ts to its end. */
export async function liveOnce(place: Place, options: LifeOptions): Promise<ChildLife> {
  const { commits, collect = false, moment = -1, killAfterMs, fileLimit, whileStopped } = options;
  const task: ChildTask = {
    ...place,
    commits,
    collect,
    moment,
    signal: whileStopped === undefined ? 'SIGKILL' : 'SIGSTOP',
  };
  const limit = fileLimit === undefined ? '' : `ulimit -f ${fileLimit}; `;
  const command = [process.execPath, '--import', 'tsx', CHILD, JSON.stringify(task)];
  const child = spawn('sh', ['-c', `${limit}exec "$@"`, 'sh', ...command]);
  const lines: ChildLine[] = [];
  let rest = '';
  let stderr = '';
  let failure: unknown = null;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (rest === '' && lines.length === 0 && killAfterMs !== undefined)
      setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    const whole = (rest + text).split('\n');
    rest = whole.pop()!;
    for (const line of whole) {
      lines.push(JSON.parse(line));
      if (lines.at(-1)!.moment === undefined || whileStopped === undefined) continue;
      const moments = lines.flatMap((l) => l.moment ?? []);
      if (moments.length - 1 !== (typeof moment === 'string' ? moments.indexOf(moment) : moment)) continue;
      whileStopped()
        .catch((error: unknown) => {
          failure = error;
        })
        .finally(() => child.kill('SIGCONT'));
    }
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (...end) => resolve(end));
  });
  if (failure !== null) throw failure;
  return {
    signal,
    code,
    stderr,
    recovered: lines.find((line) => line.recovered !== undefined)?.recovered ?? null,
    committed: lines.flatMap((line) => line.committed ?? []),
    moments: lines.flatMap((line) => line.moment ?? []),
    failed: lines.find((line) => line.failed !== undefined)?.failed ?? null,
    hint: lines.find((line) => line.hint !== undefined)?.hint ?? null,
  };
}

/**
 * The state as anyone would find it now, and the log, checked whole; its step. Blobs that the commit does not name are
 * removed unless kept: with them a second attempt at the same commit finds blobs of the first, and has fewer effects.
 */
export async function stateNow({ url, folder, store: at, run }: Place, { keepOrphans = false } = {}): Promise<number> {
  const log = await openLog(url);
  try {
    const store = await openStore(at ?? join(folder, 'blobs'));
    const state = await readState({ log, store, run });
    expectWhole(state, SCENARIO);
    await expectLogExact(log, run);
    if (!keepOrphans) {
      const named = state.commit.blobs.map(({ sha256 }) => sha256);
      for (const blob of await store.list()) if (!named.includes(blob.sha256)) await store.remove(blob);
    }
    return state.commit.step;
  } finally {
    await log.close();
  }
}

/**
 * At each of the moments a trainer falls asleep, another takes the run over and commits twice, and the first wakes: it is
 * fenced, and what the second one committed stands whole.
 */
export async function sleepThroughTakeOvers(place: Place, moments: readonly string[]): Promise<void> {
  await liveOnce(place, { commits: 1 });
  const life = await liveOnce(place, { commits: 1 });
  let step = 6;
  for (const name of moments) {
    expect(life.moments).toContain(name);
    await stateNow(place);
    // Asleep after its commit, it has but its report to make, and the blobs of older commits to remove.
    const made = name === 'after commit' ? 3 : 0;
    const zombie = await liveOnce(place, {
      commits: 1,
      moment: name,
      async whileStopped() {
        const next = await liveOnce(place, { commits: 2 });
        const committed = [step + made + 3, step + made + 6];
        expect(next, next.stderr).toMatchObject({ code: 0, recovered: step + made, committed });
      },
    });
    const end = made > 0 ? { code: 0, committed: [step + made] } : { code: 3, failed: 'FENCED', committed: [] };
    expect(zombie, name + zombie.stderr).toMatchObject({ ...end, recovered: step });
    step += made + 6;
    expect(await stateNow(place)).toBe(step);
  }
}
