import { setTimeout as sleep } from 'node:timers/promises';
import { type FaultKind, Judged } from '../fault.ts';
import { startProtocol, toldBy } from '../life.ts';
import { demandOrderly } from '../lives.ts';
import { BEGUN, goOn, judge, STEPS, trial } from '../protocol-run.ts';
import type { Release } from '../request-gate.ts';
import type { Toxic } from '../toxiproxy.ts';
import { requestsOfALife } from './kills.ts';
import { demandFenced } from './zombies.ts';

/** Networks that are slow, break or swallow what they carry, and brokers that die, at a chosen request of a commit. */

const COMMITS = 2;
const MADE = BEGUN + COMMITS * STEPS;

interface Weather {
  readonly name: string;
  /** Null: connections are refused. */
  readonly toxics: readonly Toxic[] | null;
  /** It passes after so long; null: it stays until the trainer has ended. */
  readonly passesMs: number | null;
}

const both = (toxic: Omit<Toxic, 'stream'>): Toxic[] => [
  { ...toxic, stream: 'upstream' },
  { ...toxic, stream: 'downstream' },
];

const WEATHERS: readonly Weather[] = [
  {
    name: 'latency 40 ms, jitter 40 ms',
    toxics: both({ type: 'latency', attributes: { latency: 40, jitter: 40 } }),
    passesMs: null,
  },
  { name: 'connections reset', toxics: both({ type: 'reset_peer', attributes: { timeout: 0 } }), passesMs: 700 },
  {
    name: 'answers swallowed, then cut',
    toxics: [{ type: 'timeout', stream: 'downstream', attributes: { timeout: 300 } }],
    passesMs: 1_000,
  },
  { name: '30 kB/s', toxics: both({ type: 'bandwidth', attributes: { rate: 30 } }), passesMs: null },
  { name: 'connections refused', toxics: null, passesMs: 1_500 },
  {
    name: 'requests swallowed, then cut',
    toxics: [{ type: 'timeout', stream: 'upstream', attributes: { timeout: 300 } }],
    passesMs: 1_000,
  },
  {
    name: 'sliced into 7 bytes',
    toxics: both({ type: 'slicer', attributes: { average_size: 7, size_variation: 5, delay: 100 } }),
    passesMs: 2_000,
  },
  {
    name: 'cut after 600 bytes of answers',
    toxics: [{ type: 'limit_data', stream: 'downstream', attributes: { bytes: 600 } }],
    passesMs: 1_500,
  },
  {
    name: 'reset in the middle of an answer',
    toxics: [
      { type: 'limit_data', stream: 'downstream', attributes: { bytes: 21 } },
      { type: 'latency', stream: 'upstream', attributes: { latency: 20, jitter: 20 } },
    ],
    passesMs: 800,
  },
];

export const badNetwork: FaultKind = {
  name: 'a bad network, by toxiproxy',
  log: 'kafka',
  trainer: 'protocol',
  async run(ground, draw) {
    const requests = await requestsOfALife(ground);
    const weather = draw.turn('weather', WEATHERS);
    const index = draw.below('request', requests.length);
    return trial(
      () => `${weather.name}, from ${requests[index]} (request ${index}) on`,
      async () => {
        const kafka = await ground.kafka();
        const at = await ground.newRun('kafka');
        const client = `weather-${draw.ordinal}`;
        let healing: Promise<void> | null = null;
        const release = kafka.gate.hold(client, index, async () => {
          if (weather.toxics === null) await kafka.toxiproxy.refuse(true);
          else await kafka.toxiproxy.add(...weather.toxics);
          if (weather.passesMs !== null) healing = sleep(weather.passesMs).then(() => kafka.toxiproxy.heal());
          return 'pass';
        });
        const end = await startProtocol({ ...at, url: kafka.url(client), commits: COMMITS }).ended;
        await healing;
        await kafka.heal();
        release(end.stderr);
        const told = demandOrderly(end, BEGUN);
        await judge(at, { told, made: MADE }, await ground.reference());
        return 'recovered identical';
      },
    );
  },
};

/** The broker, too, is killed by the signal that no process can catch; it comes back on the same data. */
export const brokerKilled: FaultKind = {
  name: 'the broker killed (-9) and started again',
  log: 'kafka',
  trainer: 'protocol',
  async run(ground, draw) {
    const requests = await requestsOfALife(ground);
    const index = draw.turn('request', [...requests.keys()]);
    const answered = draw.share('answered') < 0.5;
    return trial(
      () => `at ${requests[index]} (request ${index}), ${answered ? 'which it has done' : 'before it has it'}`,
      async () => {
        const kafka = await ground.kafka();
        const at = await ground.newRun('kafka');
        const client = `restart-${draw.ordinal}`;
        let back: Promise<void> | null = null;
        const kill = async (): Promise<false> => {
          ({ back } = await kafka.killBroker());
          return false;
        };
        const release = kafka.gate.hold(client, index, async () => {
          if (answered) return { answered: kill };
          await kill();
          return 'drop';
        });
        const end = await startProtocol({ ...at, url: kafka.url(client), commits: COMMITS }).ended;
        release(end.stderr);
        if (back === null) throw new Judged('not tried', `request ${index} was not answered: ${end.stderr}`);
        await back;
        const told = demandOrderly(end, BEGUN);
        await judge(at, { told, made: MADE }, await ground.reference());
        return 'recovered identical';
      },
    );
  },
};

/** Its network is cut in the middle of a commit, another takes over, its network comes back. */
export const cutOffAndTakenOver: FaultKind = {
  name: 'network cut at a request, a take-over, network restored',
  log: 'kafka',
  trainer: 'protocol',
  async run(ground, draw) {
    const requests = await requestsOfALife(ground);
    const index = draw.turn(
      'request',
      [...requests.keys()].filter((i) => requests[i] !== 'InitProducerId'),
    );
    return trial(
      () => `${requests[index]} (request ${index}) lost with the connection`,
      async () => {
        const kafka = await ground.kafka();
        const at = await ground.newRun('kafka');
        const client = `cut-${draw.ordinal}`;
        const life = startProtocol({ ...at, url: kafka.url(client), commits: 1 });
        let release: Release = () => {};
        const cut = new Promise<void>((resolve) => {
          release = kafka.gate.hold(client, index, async () => {
            await kafka.toxiproxy.refuse(true);
            resolve();
            return 'drop';
          });
        });
        await Promise.race([cut, life.ended]);
        const begun = await goOn(at, 0);
        const ended = begun + COMMITS * STEPS;
        await goOn(at, ended);
        await kafka.heal();
        const end = await life.ended;
        release(end.stderr);
        if (toldBy(end).recovered !== ended) demandFenced(end, begun);
        const made = toldBy(end).recovered === ended ? ended + STEPS : ended;
        await judge(at, { told: made, made }, await ground.reference());
        return 'recovered identical';
      },
    );
  },
};
