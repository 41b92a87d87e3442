import { readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { compareRuns } from '../../../src/certify/compare-runs.ts';
import { EXIT, RepulsorError } from '../../../src/errors.ts';
import type { Draw } from '../draw.ts';
import { type FaultKind, Judged } from '../fault.ts';
import {
  BEGUN,
  copyRun,
  demandSame,
  FINAL,
  goOn,
  judge,
  judgeOutcome,
  outcomeOf,
  type ProtocolRun,
  STEPS,
  saying,
  trial,
} from '../protocol-run.ts';

/** What bad disks, torn writes and hands do to files at rest. */

type Harm =
  | 'bit flipped'
  | 'byte overwritten'
  | 'cut off'
  | 'emptied'
  | 'zeros from'
  | 'garbage appended'
  | 'removed'
  | 'swapped';
export const HARMS: readonly Harm[] = [
  'bit flipped',
  'cut off',
  'zeros from',
  'removed',
  'swapped',
  'byte overwritten',
  'emptied',
  'garbage appended',
];

/** A file of which `read` of nothing else holds a copy, and one that could be taken for it. */
interface Target {
  readonly path: string;
  readonly other: string | null;
}

/** Does the harm; what was done, in words, and how to undo it. */
export async function harm(
  how: Harm,
  { path, other }: Target,
  draw: Draw,
): Promise<{ done: string; undo: () => Promise<void> }> {
  const whole = await readFile(path);
  const at = draw.below('byte', Math.max(1, whole.length));
  const name = `${basename(dirname(path))}/${basename(path).replace(/^([0-9a-f]{8})[0-9a-f]{56}/, '$1...')}`;
  const undo = () => writeFile(path, whole);
  const write = async (bytes: Uint8Array, done: string) => {
    await writeFile(path, bytes);
    return { done: `${name} (${whole.length} bytes): ${done}`, undo };
  };
  const changed = Buffer.from(whole);
  switch (how) {
    case 'bit flipped':
      changed[at]! ^= 1 << draw.below('bit', 8);
      return write(changed, `a bit of byte ${at} flipped`);
    case 'byte overwritten':
      changed[at] = (whole[at]! + 1 + draw.below('value', 255)) % 256;
      return write(changed, `byte ${at} overwritten`);
    case 'cut off':
      return write(changed.subarray(0, at), `cut off at byte ${at}`);
    case 'zeros from':
      return write(changed.fill(0, at), `zeros from byte ${at} on`);
    case 'emptied':
      return write(Buffer.alloc(0), 'emptied');
    case 'garbage appended':
      return write(Buffer.concat([whole, Buffer.alloc(1 + at, 0xa5)]), `${1 + at} bytes of garbage behind its end`);
    case 'removed':
      await unlink(path);
      return { done: `${name}: removed`, undo };
    case 'swapped': {
      if (other === null) return harm('cut off', { path, other }, draw);
      const theirs = await readFile(other);
      await writeFile(other, whole);
      const swapped = await write(theirs, `swapped with ${basename(other).slice(0, 24)}`);
      return {
        ...swapped,
        undo: async () => {
          await writeFile(other, theirs);
          await undo();
        },
      };
    }
  }
}

const damage = (
  name: string,
  choose: (at: ProtocolRun, draw: Draw) => Promise<Target>,
  fallsBack: boolean,
): FaultKind => ({
  name,
  log: 'file',
  trainer: 'protocol',
  async run(ground, draw) {
    const how = draw.turn('harm', HARMS);
    let done: string = how;
    return trial(
      () => done,
      async () => {
        const folder = await ground.newFolder();
        const at = await ground.fileRun(folder);
        const harmed = await harm(how, await choose(at, draw), draw);
        done = harmed.done;
        const reference = await ground.reference();
        const error = await refusal(at);
        if (error === null) {
          // It goes on: then nothing that it needs was damaged, and what is left to read is whole or refused by name.
          const unread = await historyRefusal(at);
          if (unread !== null) await harmed.undo();
          await judgeOutcome(at, reference);
          return unread === null ? 'recovered identical' : 'refused correctly';
        }
        demandRefusal(error);
        if (fallsBack) await demandFallback(at, `${folder}-fallback`, reference);
        await harmed.undo();
        await judge(at, { told: BEGUN, made: BEGUN }, reference);
        return 'refused correctly';
      },
    );
  },
});

/** Why the run does not go on; null when it has gone on to its end. */
async function refusal(at: ProtocolRun): Promise<unknown> {
  try {
    const begun = await goOn(at, FINAL);
    if (begun < BEGUN)
      throw new Judged('lost', `it was at step ${BEGUN}, and goes on from step ${begun} without a word`);
    return null;
  } catch (error) {
    if (error instanceof Judged) throw error;
    return error;
  }
}

/** Why its history cannot be read whole, which no recovery needs; null when it can. */
async function historyRefusal(at: ProtocolRun): Promise<RepulsorError | null> {
  try {
    await outcomeOf(at);
    return null;
  } catch (error) {
    demandRefusal(error);
    return error as RepulsorError;
  }
}

function demandRefusal(error: unknown): asserts error is RepulsorError {
  if (error instanceof RepulsorError && error.exitStatus === EXIT.damaged && error.hint !== '') return;
  throw new Judged('wrongly refused', `not by status ${EXIT.damaged}: ${saying(error)}`);
}

/** Asked to, it goes back to the commit before, says so, and makes the same steps again. */
async function demandFallback(
  at: ProtocolRun,
  folder: string,
  reference: Awaited<ReturnType<typeof outcomeOf>>,
): Promise<void> {
  const copy = await copyRun(at, folder);
  const begun = await goOn(copy, FINAL, { fallback: true });
  if (begun !== BEGUN - STEPS) throw new Judged('lost', `it falls back to step ${begun}, not ${BEGUN - STEPS}`);
  demandSame(compareRuns((await outcomeOf(copy))!, reference!, { givenUp: 1 }));
  await rm(folder, { recursive: true });
}

const newestBlobs = async (at: ProtocolRun): Promise<string[]> => {
  const { commits } = (await outcomeOf(at))!;
  const wanted = commits.at(-1)!.blobs.filter(({ name }) => name !== 'frozen'); // which every commit has
  const files = await readdir(join(at.folder, 'blobs'));
  return wanted.map(({ sha256 }) => join(at.folder, 'blobs', files.find((file) => file.startsWith(sha256))!));
};

export const damagedBlob = damage(
  'damaged blob of the newest commit',
  async (at, draw) => {
    const blobs = await newestBlobs(at);
    const path = draw.pick('blob', blobs);
    return { path, other: blobs.find((blob) => blob !== path)! };
  },
  true,
);

/** Files below a folder, by a part of their path. */
export async function filesBelow(folder: string, part: RegExp): Promise<string[]> {
  const all = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = all.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return paths.filter((path) => part.test(path)).sort();
}

const ofLog = (name: string, part: RegExp): FaultKind =>
  damage(
    name,
    async (at, draw) => {
      const files = await filesBelow(join(at.folder, 'log'), part);
      const path = draw.pick('file', files);
      return { path, other: files.find((file) => file !== path) ?? null };
    },
    false,
  );

export const damagedSegment = ofLog('damaged segment of the file log', /\.seg$/);
export const damagedChain = ofLog('damaged chain of take-overs and commits', /\.entry$/);
export const damagedSettings = ofLog('damaged settings of a topic', /\.json$/);
