import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { RepulsorError } from '../errors.ts';
import { createExclusively, isCode, makeFolder, replaceAtomically } from '../files/durable-file.ts';
import { demandPath, lastingLogUrl } from '../log/log-url.ts';
import { canonicalJson } from './canonical-json.ts';
import { checkRunId } from './run-id.ts';

/** 2 where `store` is given: a version that does not know it must not look for the blobs in the folder. */
const FORMAT_VERSION = 2;

/** What `DIR/run.json` says. The state itself lies in the log and in the store. */
export interface RunDescription {
  readonly run: string;
  /** URL of the log that holds the run's topics, without user and password. */
  readonly log: string;
  /** Where the run's blobs are, and no other's: `s3://BUCKET/PREFIX/RUN`. Absent: in `DIR/blobs`. */
  readonly store?: string;
  /** Name of the pipeline. */
  readonly pipeline: string;
  /** When the run was made, ISO 8601. */
  readonly created: string;
}

export interface RunFolder extends RunDescription {
  readonly folder: string;
  /** Where the blobs are: `store`, or else a folder (open-store.ts opens either). */
  readonly blobs: string;
}

/**
 * Makes the folder of a new run: `run.json` appears whole or not at all, and of several that try at once one succeeds.
 * @throws RepulsorError USAGE for an id that cannot be one, or when another run lives there; STORE_FAILED
 */
export async function createRunFolder(folder: string, run: RunDescription): Promise<RunFolder> {
  checkRunId(run.run);
  const there = await readDescription(folder);
  if (there !== null) throw takenFolder(folder, there.run);
  await demandNew(folder);
  const description: RunDescription = { ...run, log: lastingLogUrl(run.log) };
  const formatVersion = description.store === undefined ? 1 : 2;
  const path = join(folder, 'run.json');
  const fields = { formatVersion, ...description };
  const text = `${JSON.stringify({ ...fields, check: checkOf(fields) }, null, 2)}\n`;
  let made: boolean;
  try {
    await makeFolder(description.store === undefined ? join(folder, 'blobs') : folder);
    made = await createOnce(path, Buffer.from(text));
  } catch (cause) {
    throw new RepulsorError('STORE_FAILED', `cannot write ${path}: ${(cause as Error).message}`, {
      hint: 'Check that the folder is writable and its disk has room.',
      cause,
    });
  }
  // Two runs in one folder would remove each other's blobs.
  if (!made) throw takenFolder(folder, (await readDescription(folder))?.run ?? '(gone again)');
  return located(folder, description);
}

/** False when it is there. A file system without hard links (exFAT) cannot tell of two that come at the same instant. */
async function createOnce(path: string, bytes: Uint8Array): Promise<boolean> {
  try {
    return await createExclusively(path, bytes);
  } catch (error) {
    if (!['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'].some((code) => isCode(error, code))) throw error;
    await replaceAtomically(path, [bytes]);
    return true;
  }
}

function takenFolder(folder: string, run: string): RepulsorError {
  return new RepulsorError('USAGE', `${folder} is the folder of the run ${run} already`, {
    hint: 'Go on with that run (the same command does), or choose another folder.',
  });
}

/** A run writes blobs only once its `run.json` is durable. @throws RepulsorError STATE_MISSING when there are some without */
async function demandNew(folder: string): Promise<void> {
  const blobs = await readdir(join(folder, 'blobs')).catch(() => []);
  if (blobs.length === 0) return;
  throw new RepulsorError('STATE_MISSING', `${join(folder, 'run.json')} is missing, but blobs of a run are there`, {
    hint: 'Restore it: {"formatVersion": 1, "run", "log", "pipeline", "created"}, all text but the first; or begin the new run in another folder.',
  });
}

/** @throws RepulsorError USAGE when the folder is no run, STATE_DAMAGED, FORMAT_NEWER */
export async function openRunFolder(folder: string): Promise<RunFolder> {
  demandPath(folder, 'a run folder');
  const description = await readDescription(folder);
  if (description === null) {
    throw new RepulsorError('USAGE', `${folder} is not the folder of a run: it has no run.json`, {
      hint: 'Name a folder that `repulsor train` made, or begin a new run there.',
    });
  }
  return located(folder, description);
}

/** CRC-32 of the canonical JSON, hex: a flipped bit in the run's id would begin another run. */
const checkOf = (fields: object): string => crc32(canonicalJson(fields)).toString(16).padStart(8, '0');

/** The run that lives in the folder, or null. */
export async function findRunFolder(folder: string): Promise<RunFolder | null> {
  const description = await readDescription(folder);
  return description === null ? null : located(folder, description);
}

function located(folder: string, description: RunDescription): RunFolder {
  return { ...description, folder, blobs: description.store ?? join(folder, 'blobs') };
}

async function readDescription(folder: string): Promise<RunDescription | null> {
  const path = join(folder, 'run.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (isCode(cause, 'ENOENT')) return null;
    throw new RepulsorError('STORE_FAILED', `cannot read ${path}: ${(cause as Error).message}`, {
      hint: 'Name the folder of a run, and check that it can be read.',
      cause,
    });
  }
  return checkDescription(text, path);
}

function checkDescription(text: string, path: string): RunDescription {
  let json: Record<string, unknown> | null = null;
  try {
    json = JSON.parse(text);
  } catch {
    // told below, as for JSON of another shape
  }
  const version = json?.['formatVersion'];
  if (typeof version === 'number' && version > FORMAT_VERSION) {
    throw new RepulsorError('FORMAT_NEWER', `${path} has format ${version}; this version reads ${FORMAT_VERSION}`, {
      hint: 'Use the version of repulsor that made the run, or a later one.',
    });
  }
  const { check, ...fields } = json ?? {};
  if (check !== undefined && check !== checkOf(fields)) {
    throw new RepulsorError('STATE_DAMAGED', `${path} is damaged: its checksum does not match`, {
      hint: 'Restore it from a copy; if it was changed on purpose, delete its "check".',
    });
  }
  const { run, log, store, pipeline, created } = fields;
  const texts = version === 1 ? [run, log, pipeline, created] : [run, log, store, pipeline, created];
  if ((version !== 1 && version !== 2) || !texts.every((field) => typeof field === 'string')) {
    throw new RepulsorError('STATE_DAMAGED', `${path} is not the description of a run`, {
      hint: 'Restore run.json: {"formatVersion": 1, "run", "log", "pipeline", "created"}, all text but the first; with "store", formatVersion is 2.',
    });
  }
  checkRunId(run as string);
  return { run, log, pipeline, created, ...(version === 2 && { store }) } as RunDescription;
}
