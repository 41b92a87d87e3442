import type { Draw } from '../draw.ts';
import type { FaultKind, LogKind, Trial } from '../fault.ts';
import type { FileAct, FileFault, FileOperationLine } from '../file-operations.ts';
import type { Ground } from '../ground.ts';
import { type Life, startProtocol, toldBy } from '../life.ts';
import { demandKilled, lastTold } from '../lives.ts';
import { BEGUN, judge, type ProtocolRun, STEPS, trial } from '../protocol-run.ts';
import type { Fate } from '../request-gate.ts';

/** kill -9 of the protocol's trainer, at each thing that it does. */

/** The moments of a life that takes the run over, recovers and commits once. */
export const effectsOf = (ground: Ground, log: LogKind): Promise<readonly string[]> =>
  ground.once(`effects ${log}`, async () => {
    const end = await startProtocol({ ...(await ground.newRun(log)), commits: 1 }).ended;
    return toldBy(end).moments;
  });

/** Before and after each effect that the commit protocol names (src/checkpoint/effects.ts). */
export const killAtEffect = (log: LogKind): FaultKind => ({
  name: 'kill -9 at an effect of a commit',
  log,
  trainer: 'protocol',
  async run(ground, draw) {
    const moments = await effectsOf(ground, log);
    // A blob is written in the same way whatever the log is.
    const first = log === 'file' ? 0 : moments.indexOf('before begin') - 1;
    const [moment, name] = draw.turn('moment', [...moments.entries()].slice(first));
    return trial(
      () => name,
      async () => {
        const at = await ground.newRun(log);
        const end = await startProtocol({ ...at, commits: 1, moment }).ended;
        demandKilled(end, name);
        // The commit is made between two moments, and at no other; what follows removes old blobs.
        const committed = moment >= moments.indexOf('after commit') ? BEGUN + STEPS : BEGUN;
        await judge(at, { told: committed, made: committed }, await ground.reference());
        return 'recovered identical';
      },
    );
  },
});

/** What a whole life of the trainer does to files: it takes the run over, recovers, commits, and removes old blobs. */
const operationsOfALife = (ground: Ground): Promise<readonly FileOperationLine[]> =>
  ground.once('file operations', () => traced(ground, { at: -1, act: 'kill', tell: true }));

async function traced(ground: Ground, fault: FileFault): Promise<readonly FileOperationLine[]> {
  const at = await ground.newRun('file');
  const options = { fileFault: { ...fault, within: at.folder } };
  return (await startProtocol({ ...at, commits: 1 }, options).ended).operations;
}

export type Phase = 'take-over' | 'commit' | 'removal of old blobs';

function phaseOf(operations: readonly FileOperationLine[], index: number): Phase {
  const firstBlob = operations.findIndex(({ operation }) => operation.startsWith('create blobs/'));
  if (index < firstBlob) return 'take-over';
  return /^unlink blobs\/\*-/.test(operations[index]!.operation) ? 'removal of old blobs' : 'commit';
}

/** One operation of a phase, and how it is cut short. */
export interface CutOperation {
  readonly index: number;
  readonly name: string;
  readonly act: FileAct;
}

/** Every operation of a phase, by each of the acts; those that leave half a write only where something is written. */
export async function operationsIn(ground: Ground, phase: Phase, acts: readonly FileAct[]): Promise<CutOperation[]> {
  const operations = await operationsOfALife(ground);
  return operations.flatMap(({ operation }, index) => {
    if (phaseOf(operations, index) !== phase) return [];
    const possible = acts.filter((act) => !act.startsWith('half-') || operation.startsWith('write '));
    return possible.map((act) => ({ index, act, name: `${act} at ${operation} (operation ${index})` }));
  });
}

export const killAtFileOperation = (phase: Phase): FaultKind => ({
  name: `kill -9 at a file operation of the ${phase}`,
  log: 'file',
  trainer: 'protocol',
  async run(ground, draw) {
    const cut = draw.turn('operation', await operationsIn(ground, phase, ['kill', 'half-kill']));
    return trial(
      () => cut.name,
      async () => {
        const at = await ground.newRun('file');
        const told = await killedLife(at, { at: cut.index, act: cut.act }, cut.name, BEGUN);
        const made = phase === 'take-over' ? BEGUN : BEGUN + STEPS;
        const least = phase === 'removal of old blobs' ? made : told;
        await judge(at, { told: least, made }, await ground.reference());
        return 'recovered identical';
      },
    );
  },
});

/** At each read of the recovery: of the chain, the commits, the blobs, the negatives. */
export const killInRecovery: FaultKind = {
  name: 'kill -9 at a read of the recovery',
  log: 'file',
  trainer: 'protocol',
  async run(ground, draw) {
    const only = ['read'];
    const reads = await ground.once('reads', async () => {
      const operations = await traced(ground, { at: -1, act: 'kill', only: [...only, 'create'], tell: true });
      const commits = operations.findIndex(({ operation }) => operation.startsWith('create blobs/'));
      return operations.slice(0, commits).filter(({ operation }) => operation.startsWith('read '));
    });
    const index = draw.turn('read', [...reads.keys()]);
    const name = `kill at ${reads[index]!.operation} (read ${index})`;
    return trial(
      () => name,
      async () => {
        const at = await ground.newRun('file');
        await killedLife(at, { at: index, act: 'kill', only }, name, BEGUN);
        await judge(at, { told: BEGUN, made: BEGUN }, await ground.reference());
        return 'recovered identical';
      },
    );
  },
};

/** Two or three lives in a row, each killed somewhere: in the second's take-over and recovery too. */
export const killsInARow: FaultKind = {
  name: 'kill -9 of two or three lives in a row',
  log: 'file',
  trainer: 'protocol',
  async run(ground, draw): Promise<Trial> {
    const count = (await operationsOfALife(ground)).length;
    const lives = 2 + draw.below('lives', 2);
    const names: string[] = [];
    return trial(
      () => names.join(', then '),
      async () => {
        const at = await ground.newRun('file');
        let told = BEGUN;
        for (let life = 0; life < lives; life++) {
          // Less than a whole life has: what an earlier one left behind may spare a later one some operations.
          const index = draw.below(`operation ${life}`, Math.floor(count * 0.75));
          const act = draw.pick(`act ${life}`, ['kill', 'half-kill'] as const);
          const name = `${act} at operation ${index}`;
          names.push(name);
          told = await killedLife(at, { at: index, act }, name, told, (struck) => {
            names[life] = `${act} at ${struck} (operation ${index})`;
          });
        }
        await judge(at, { told, made: BEGUN + lives * STEPS }, await ground.reference());
        return 'recovered identical';
      },
    );
  },
};

/** The last step that the killed trainer was told of. */
async function killedLife(
  at: ProtocolRun,
  fault: FileFault,
  name: string,
  before: number,
  onStruck: (operation: string) => void = () => {},
): Promise<number> {
  const end = await startProtocol({ ...at, commits: 1 }, { fileFault: { ...fault, within: at.folder } }).ended;
  onStruck(end.operations[0]?.operation ?? 'nothing');
  demandKilled(end, name);
  return lastTold(end, before);
}

/** Where requests of the trainer stand at the broker's door. */
export const killAtRequest: FaultKind = {
  name: 'kill -9 at a request to the broker',
  log: 'kafka',
  trainer: 'protocol',
  async run(ground, draw) {
    const requests = await requestsOfALife(ground);
    const index = draw.turn(
      'request',
      [...requests.keys()].flatMap((i) => [i * 2, i * 2 + 1]),
    );
    const request = index >> 1;
    const answered = index % 2 === 1;
    const name = `${requests[request]} (request ${request}), ${answered ? 'done by the broker, its answer lost' : 'sent and never received'}`;
    return trial(
      () => name,
      async () => {
        const at = await ground.newRun('kafka');
        await killedAt(ground, at, draw, request, answered);
        const firstEnd = requests.indexOf('EndTxn');
        const made = request > firstEnd || (request === firstEnd && answered) ? BEGUN + STEPS : BEGUN;
        await judge(at, { told: made, made }, await ground.reference());
        return 'recovered identical';
      },
    );
  },
};

/** The requests of a take-over, a recovery and a commit, in their order. */
export const requestsOfALife = (ground: Ground): Promise<readonly string[]> =>
  ground.once('requests', async () => {
    const at = await ground.newRun('kafka');
    const kafka = await ground.kafka();
    const life = () => startProtocol({ ...at, url: kafka.url('dry'), commits: 1 }).ended;
    const names = await kafka.gate.requestsOf('dry', life);
    // The commit is asked for again until its markers are written: how often is the broker's affair.
    return names.slice(0, names.indexOf('EndTxn') + 2);
  });

async function killedAt(
  ground: Ground,
  at: ProtocolRun,
  draw: Draw,
  request: number,
  answered: boolean,
): Promise<void> {
  const kafka = await ground.kafka();
  const client = `trial-${draw.ordinal}`;
  const life = startProtocol({ ...at, url: kafka.url(client), commits: 1 });
  const release = kafka.gate.hold(client, request, () => killed(life, answered));
  const end = await life.ended;
  release(end.stderr);
  demandKilled(end, `request ${request}`);
}

/** Whose request is held: killed before the broker has it, or when the broker has done it. */
export async function killed(life: Life, answered: boolean): Promise<Fate> {
  const kill = async (): Promise<false> => {
    life.signal('SIGKILL');
    await life.ended;
    return false;
  };
  if (answered) return { answered: kill };
  await kill();
  return 'drop';
}
