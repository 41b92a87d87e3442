import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Draw } from '../draw.ts';
import { type FaultKind, Judged, type LogKind } from '../fault.ts';
import { type Life, type LifeEnd, startProtocol, toldBy } from '../life.ts';
import { BEGUN, goOn, judge, type ProtocolRun, STEPS, trial } from '../protocol-run.ts';
import type { Keeper } from '../request-gate.ts';
import { effectsOf, operationsIn, requestsOfALife } from './kills.ts';

/**
 * Trainers that were paused, or cut off, while another took their run over: at their next commit they find out, end with
 * status 3, and have changed nothing.
 */

/** Commits of the one that takes over. */
const SECOND = 2;

/** Resolves once the process does nothing any more. Where there is no /proc, soon after. */
export async function stopped(pid: number): Promise<void> {
  for (;;) {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
    if (text === null) return void (await sleep(200));
    if (text.slice(text.lastIndexOf(')') + 2).startsWith('T')) return;
    await sleep(2);
  }
}

/** Whose request is held: asleep until `work` is done; then it wakes, and the request goes on to the broker. */
export function asleepWhileHeld<T>(life: Life, work: () => Promise<T>): { decide: Keeper; meanwhile(): Promise<T> } {
  let done: Promise<T> = Promise.reject(new Judged('not tried', 'it never slept'));
  done.catch(() => undefined);
  return {
    async decide() {
      life.signal('SIGSTOP');
      await stopped(life.pid);
      done = work();
      await done.catch(() => undefined); // told to whoever asks what came of it
      setImmediate(() => life.signal('SIGCONT'));
      return 'pass';
    },
    meanwhile: () => done,
  };
}

/** The effect at which the protocol's trainer stops itself has come. */
async function stopsAt(life: Life, moment: number): Promise<string> {
  let reached = 0;
  const name = await new Promise<string>((resolve, reject) => {
    life.onLine((line) => {
      if (line.includes('"moment"') && reached++ === moment) resolve((JSON.parse(line) as { moment: string }).moment);
    });
    void life.ended.then((end) => reject(new Judged('not tried', `it never came to stop: ${end.stderr}`)));
  });
  await stopped(life.pid);
  return name;
}

/** It was fenced and says so; or it had made its commit before the other took over, and that one went on from it. */
export function demandFenced(end: LifeEnd, begun: number): void {
  const { failed, committed } = toldBy(end);
  if (end.code === 3 && failed === 'FENCED' && committed.length === 0) return;
  if (end.code === 0 && committed.length === 1 && begun >= committed[0]!) return;
  throw new Judged(
    end.code === 0 ? 'silently accepted' : 'wrongly refused',
    `the paused trainer ended with status ${end.code} (${failed ?? 'no error'}), told of ${committed.join(', ') || 'no commit'}; the other began at ${begun}. ${end.stderr}`,
  );
}

async function takeOver(at: ProtocolRun): Promise<{ begun: number; ended: number }> {
  const begun = await goOn(at, 0);
  await goOn(at, begun + SECOND * STEPS);
  return { begun, ended: begun + SECOND * STEPS };
}

export const stoppedAtEffect = (log: LogKind): FaultKind => ({
  name: 'SIGSTOP at an effect, a take-over, SIGCONT',
  log,
  trainer: 'protocol',
  async run(ground, draw) {
    const moments = await effectsOf(ground, log);
    const first = log === 'file' ? 0 : moments.indexOf('before begin') - 1;
    const [moment, name] = draw.turn('moment', [...moments.entries()].slice(first));
    return trial(
      () => name,
      async () => {
        const at = await ground.newRun(log);
        const life = startProtocol({ ...at, commits: 1, moment, signal: 'SIGSTOP' });
        await stopsAt(life, moment);
        const { begun, ended } = await takeOver(at);
        life.signal('SIGCONT');
        demandFenced(await life.ended, begun);
        await judge(at, { told: ended, made: ended }, await ground.reference());
        return 'recovered identical';
      },
    );
  },
});

/** At any operation on a file, from the take-over to the removal of old blobs. */
export const stoppedAtFileOperation: FaultKind = {
  name: 'SIGSTOP at a file operation, a take-over, SIGCONT',
  log: 'file',
  trainer: 'protocol',
  async run(ground, draw) {
    const phase = draw.turn('phase', ['take-over', 'commit', 'commit', 'commit', 'removal of old blobs'] as const);
    const cut = draw.pick('operation', await operationsIn(ground, phase, ['stop']));
    return trial(
      () => cut.name,
      async () => {
        const at = await ground.newRun('file');
        const fileFault = { at: cut.index, act: cut.act, within: at.folder };
        const life = startProtocol({ ...at, commits: 1 }, { fileFault });
        await life.struck.catch((error: Error) => {
          throw new Judged('not tried', error.message);
        });
        await stopped(life.pid);
        const { begun, ended } = await takeOver(at);
        life.signal('SIGCONT');
        const end = await life.ended;
        const told = toldBy(end);
        // Stopped before it had claimed the run, it takes it over from the second, and goes on from there.
        const late = end.code === 0 && told.recovered === ended ? ended + STEPS : null;
        if (late === null) demandFenced(end, begun);
        else if (told.committed[0] !== late) throw new Judged('lost', `it committed ${told.committed}, not ${late}`);
        await judge(at, { told: late ?? ended, made: late ?? ended }, await ground.reference());
        return 'recovered identical';
      },
    );
  },
};

/** A request of its own is under way when it is stopped, and reaches the broker when the other one has committed. */
export const lateRequest: FaultKind = {
  name: 'SIGSTOP with a request under way, a take-over, SIGCONT',
  log: 'kafka',
  trainer: 'protocol',
  async run(ground, draw) {
    const requests = await requestsOfALife(ground);
    const index = draw.turn(
      'request',
      [...requests.keys()].filter((i) => requests[i] !== 'InitProducerId'),
    );
    return trial(
      () => `${requests[index]} (request ${index}) held back until the other one has committed`,
      async () => {
        const at = await ground.newRun('kafka');
        const kafka = await ground.kafka();
        const client = `zombie-${draw.ordinal}`;
        const life = startProtocol({ ...at, url: kafka.url(client), commits: 1 });
        const asleep = asleepWhileHeld(life, () => takeOver(at));
        const release = kafka.gate.hold(client, index, asleep.decide);
        const end = await life.ended;
        release(end.stderr);
        const { begun, ended } = await asleep.meanwhile();
        demandFenced(end, begun);
        await judge(at, { told: ended, made: ended }, await ground.reference());
        return 'recovered identical';
      },
    );
  },
};

/** Two are stopped, the second after it took over from the first; a third takes over; they wake in either order. */
export const threeWayContest = (log: LogKind): FaultKind => ({
  name: 'three trainers of one run, two of them paused',
  log,
  trainer: 'protocol',
  async run(ground, draw) {
    const moments = await effectsOf(ground, log);
    // The second finds blobs that the first has written, and has fewer effects.
    const pauses = [0, 1].map((i) => draw.below(`pause ${i}`, moments.length - 12));
    const names: string[] = [];
    const order = draw.pick('order', [
      [0, 1],
      [1, 0],
    ]);
    return trial(
      () => `${names.join(', then ')}; woken ${order[0] === 0 ? 'in order' : 'the later first'}`,
      async () => {
        const at = await ground.newRun(log);
        const lives: Life[] = [];
        for (const moment of pauses) {
          const life = startProtocol({ ...at, commits: 1, moment, signal: 'SIGSTOP' });
          names.push(await stopsAt(life, moment));
          lives.push(life);
        }
        const { begun, ended } = await takeOver(at);
        for (const which of order) {
          lives[which]!.signal('SIGCONT');
          demandFenced(await lives[which]!.ended, begun);
        }
        await judge(at, { told: ended, made: ended }, await ground.reference());
        return 'recovered identical';
      },
    );
  },
});

/** Kafka's own limit: the broker aborts a transaction that is open for longer, and fences its writer. */
const TRANSACTION_TIMEOUT_MS = 60_000;

export const pausedBeyondTimeout: FaultKind = {
  name: 'SIGSTOP for longer than the transaction timeout',
  log: 'kafka',
  trainer: 'protocol',
  async run(ground, draw: Draw) {
    const moments = await effectsOf(ground, 'kafka');
    const within = [...moments.keys()].filter((i) =>
      /after (negatives|journal|commit-record)|before commit$/.test(moments[i]!),
    );
    const moment = draw.turn('moment', within);
    const other = draw.ordinal % 2 === 1;
    return trial(
      () => `${moments[moment]}, ${other ? 'with' : 'without'} a take-over`,
      async () => {
        const at = await ground.newRun('kafka');
        const life = startProtocol({ ...at, commits: 1, moment, signal: 'SIGSTOP' });
        await stopsAt(life, moment);
        await sleep(TRANSACTION_TIMEOUT_MS + 5_000);
        const { ended } = other ? await takeOver(at) : { ended: BEGUN };
        life.signal('SIGCONT');
        const end = await life.ended;
        if (end.code !== 3) throw new Judged('silently accepted', `status ${end.code}: ${end.stdout} ${end.stderr}`);
        await judge(at, { told: ended, made: ended }, await ground.reference());
        return 'recovered identical';
      },
    );
  },
};
