import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { type FaultKind, Judged, type LogKind } from '../fault.ts';
import type { Ground } from '../ground.ts';
import type { LifeEnd } from '../life.ts';
import { demandKilled } from '../lives.ts';
import { mountMemory, unmount } from '../mounts.ts';
import { trial } from '../protocol-run.ts';
import {
  copyTrainerRun,
  demandDone,
  judgeTrained,
  judgeTrainer,
  newTrainerRun,
  refusesToRead,
  startTraining,
  TRAINED,
  type TrainerRun,
} from '../trainer-run.ts';
import { filesBelow, HARMS, harm } from './damage.ts';
import { killed } from './kills.ts';
import { asleepWhileHeld, stopped } from './zombies.ts';

/** The same faults over `repulsor train`: a model, an engine, the operators, commits beside the steps. */

/** How many file operations that change something an uninterrupted training makes, about: commits come as the steps allow. */
const operationsOfTraining = (ground: Ground): Promise<number> =>
  ground.once('operations of a training', async () => {
    const run = await newTrainerRun(ground, 'file');
    const fileFault = { at: -1, act: 'kill', tell: true, within: run.folder } as const;
    const end = await startTraining(run, { fileFault }).ended;
    demandDone(end);
    return end.operations.length;
  });

export const trainerKilled: FaultKind = {
  name: 'kill -9 at a file operation of the training',
  log: 'file',
  trainer: 'real',
  async run(ground, draw) {
    let at = draw.below('operation', Math.floor((await operationsOfTraining(ground)) * 0.8));
    const act = draw.pick('act', ['kill', 'half-kill'] as const);
    let moment = `${act} at operation ${at}`;
    return trial(
      () => moment,
      async () => {
        let run = await newTrainerRun(ground, 'file');
        let end = await killedAt(run);
        // The quicker the steps, the fewer commits come beside them: a training may end before it has done so much.
        for (; end.code === 0 && at > 0; end = await killedAt(run)) {
          at = Math.floor(at / 2);
          run = await newTrainerRun(ground, 'file');
        }
        moment = `${act} at ${end.operations[0]?.operation} (operation ${at})`;
        demandKilled(end, moment);
        await judgeTrainer(ground, run);
        return 'recovered identical';
      },
    );

    function killedAt(run: TrainerRun): Promise<LifeEnd> {
      return startTraining(run, { fileFault: { at, act, within: run.folder } }).ended;
    }
  },
};

const requestsOfTraining = (ground: Ground): Promise<number> =>
  ground.once('requests of a training', async () => {
    const kafka = await ground.kafka();
    const run = await newTrainerRun(ground, 'kafka');
    const training = async () => demandDone(await startTraining(run, { url: kafka.url('dry') }).ended);
    return (await kafka.gate.requestsOf('dry', training)).length;
  });

export const trainerKilledAtRequest: FaultKind = {
  name: 'kill -9 at a request of the training to the broker',
  log: 'kafka',
  trainer: 'real',
  async run(ground, draw) {
    const at = draw.below('request', Math.floor((await requestsOfTraining(ground)) * 0.6));
    const answered = draw.share('answered') < 0.5;
    let name = '';
    return trial(
      () => `${name} (request ${at}), ${answered ? 'done by the broker, its answer lost' : 'sent and never received'}`,
      async () => {
        const kafka = await ground.kafka();
        const run = await newTrainerRun(ground, 'kafka');
        const client = `train-${draw.ordinal}`;
        const life = startTraining(run, { url: kafka.url(client) });
        const release = kafka.gate.hold(client, at, (held) => {
          ({ name } = held);
          return killed(life, answered);
        });
        const end = await life.ended;
        release(end.stderr);
        demandKilled(end, `request ${at}`);
        await judgeTrainer(ground, run);
        return 'recovered identical';
      },
    );
  },
};

/** It sleeps in the middle of something; another one trains the run to its end; it wakes, and ends with status 3. */
export const trainerStopped = (log: LogKind): FaultKind => ({
  name: 'SIGSTOP of a training, another trains the run, SIGCONT',
  log,
  trainer: 'real',
  async run(ground, draw) {
    let moment = '';
    return trial(
      () => moment,
      async () => {
        const run = await newTrainerRun(ground, log);
        const other = async (): Promise<void> => demandDone(await startTraining(run, { steps: TRAINED }).ended);
        const code = log === 'file' ? await asleepAtFile(run, other) : await asleepAtRequest(run, other);
        if (code !== 3)
          throw new Judged(
            code === 0 ? 'silently accepted' : 'wrongly refused',
            `the one that slept ended with ${code}`,
          );
        await judgeTrained(ground, run, TRAINED);
        return 'recovered identical';
      },
    );

    /** From the first commit on: before it has taken the run over it is not the older one. */
    async function asleepAtFile(run: TrainerRun, other: () => Promise<void>): Promise<number | null> {
      const operations = await operationsOfTraining(ground);
      const first = Math.floor(operations * 0.15);
      const at = first + draw.below('operation', Math.floor(operations * 0.6));
      // What it does not sleep at is a commit's last effect, after which it would be done at once.
      const life = startTraining(run, { steps: TRAINED, fileFault: { at, act: 'stop', within: run.folder } });
      moment = `at ${await life.struck.catch((error: Error) => {
        throw new Judged('not tried', error.message);
      })} (operation ${at})`;
      await stopped(life.pid);
      await other();
      life.signal('SIGCONT');
      return (await life.ended).code;
    }

    async function asleepAtRequest(run: TrainerRun, other: () => Promise<void>): Promise<number | null> {
      const kafka = await ground.kafka();
      const at = 1 + draw.below('request', Math.floor((await requestsOfTraining(ground)) * 0.6));
      const client = `sleeper-${draw.ordinal}`;
      const life = startTraining(run, { steps: TRAINED, url: kafka.url(client) });
      const asleep = asleepWhileHeld(life, other);
      const release = kafka.gate.hold(client, at, (held) => {
        moment = `at ${held.name} (request ${at}), which reaches the broker when it wakes`;
        return asleep.decide(held);
      });
      const { code, stderr } = await life.ended;
      release(stderr);
      await asleep.meanwhile();
      return code;
    }
  },
});

const MORE = TRAINED + 10;

/** What `repulsor train` says of damage: status 4; and when the file is restored, it goes on. */
export const trainerDamaged: FaultKind = {
  name: 'damaged file of a trained run',
  log: 'file',
  trainer: 'real',
  async run(ground, draw) {
    const how = draw.turn('harm', HARMS);
    const part = draw.turn('part', [
      /blobs\//,
      /\.entry$/,
      /run\.json$/,
      /tiny-[^/]*\/0\/.*\.seg$/,
      /digits\/.*\.seg$/,
      /\.json$/,
    ]);
    let done: string = how;
    return trial(
      () => done,
      async () => {
        const trained = await ground.once('trained run', async () => {
          const run = await newTrainerRun(ground, 'file');
          demandDone(await startTraining(run).ended);
          return run;
        });
        const run = await copyTrainerRun(ground, trained);
        const files = await filesBelow(run.folder, part);
        const path = draw.pick('file', files);
        const harmed = await harm(how, { path, other: files.find((file) => file !== path) ?? null }, draw);
        done = harmed.done;
        const end = await startTraining(run, { steps: MORE }).ended;
        if (end.code === 0) {
          // Old records that no recovery needs: whoever reads all of them is told.
          const told = await refusesToRead(run);
          if (told) await harmed.undo();
          await judgeTrained(ground, run, MORE);
          return told ? 'refused correctly' : 'recovered identical';
        }
        if (end.code !== 4 || !/"hint":"[^"]/.test(end.stdout))
          throw new Judged('wrongly refused', `status ${end.code}: ${end.stdout} ${end.stderr}`);
        await harmed.undo();
        await judgeTrainer(ground, run, { told: TRAINED, steps: MORE });
        return 'refused correctly';
      },
    );
  },
};

/** The disk fills up under a training: commits fail, it stops after three, and goes on when there is room. */
export const trainerFullDisk: FaultKind = {
  name: 'disk full under a training (tmpfs)',
  log: 'file',
  trainer: 'real',
  async run(ground, draw) {
    const kib = 900 + draw.below('KiB', 700);
    return trial(
      () => `a disk of ${kib} KiB`,
      async () => {
        const from = await newTrainerRun(ground, 'file');
        const folder = await ground.newFolder();
        if (!mountMemory(folder, kib * 1024, 100_000)) {
          ground.say('NOT TRIED HERE: a full tmpfs under a training, which needs root; a failing fsync instead');
          const end = await startTraining(from, {
            fileFault: { at: kib % 100, act: 'ENOSPC', stays: true, within: from.folder },
          }).ended;
          if (end.code !== 1) throw new Judged('wrongly refused', `status ${end.code}: ${end.stdout}`);
          await judgeTrainer(ground, from);
          return 'recovered identical';
        }
        try {
          await cp(from.folder, folder, { recursive: true });
          const run = { ...from, folder, url: `file:${join(folder, 'log')}` };
          const end = await startTraining(run).ended;
          if (![0, 1].includes(end.code ?? -1) || end.hung)
            throw new Judged('wrongly refused', `status ${end.code}: ${end.stdout} ${end.stderr}`);
          await judgeTrainer(ground, await copyTrainerRun(ground, run));
          return 'recovered identical';
        } finally {
          unmount(folder);
        }
      },
    );
  },
};
