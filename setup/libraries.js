/** Where a release lies in the cache, and whether it is whole. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

const GLIBC = [2, 27];
const MARKER = 'complete.json';

/** $REPULSOR_CACHE, or $XDG_CACHE_HOME/repulsor, or ~/.cache/repulsor: outside of the clone, shared by all clones. */
export function cacheFolder() {
  return process.env.REPULSOR_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'repulsor');
}

export function librariesFolder(release) {
  return join(cacheFolder(), release.name);
}

/** Every file of a release with its SHA-256. */
export function pinnedFiles(release) {
  return Object.assign({}, ...release.wheels.map(({ files }) => files));
}

/** Why this machine cannot run the native engine, or undefined. */
export function unsupported() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return `there is no tested TensorFlow library for ${process.platform} ${process.arch} (only for linux x64)`;
  }
  // Else the report looks up the names of all network peers first, which can take seconds.
  process.report.excludeNetwork = true;
  const glibc = process.report.getReport().header.glibcVersionRuntime;
  if (!glibc) return 'this Linux has no glibc, which the TensorFlow library needs';
  const [major, minor] = glibc.split('.').map(Number);
  if (major < GLIBC[0] || (major === GLIBC[0] && minor < GLIBC[1])) {
    return `glibc is ${glibc}, and the TensorFlow library needs ${GLIBC.join('.')} or newer`;
  }
  // TensorFlow does not check by itself before it is too late: it ends the process.
  if (existsSync('/proc/cpuinfo') && !/^flags\s*:.*\bavx\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'))) {
    return 'the processor has no AVX, which the TensorFlow library needs';
  }
  return undefined;
}

/**
 * The installed libraries, checked by size and time of change.
 * @returns {Promise<{ framework: string, cc: string, preload: string[], versions: object, missing?: undefined } | { missing: string }>}
 */
export async function librariesOf(release) {
  const reason = unsupported();
  if (reason) return { missing: reason };
  const folder = librariesFolder(release);
  const marker = await readMarker(folder);
  if (!marker) return { missing: `${release.title} is not in ${folder}` };
  for (const name of Object.keys(pinnedFiles(release))) {
    const found = await stat(join(folder, name)).catch(() => undefined);
    if (!found) return { missing: `${join(folder, name)} is missing` };
    if (found.size !== marker[name]?.size || found.mtimeMs !== marker[name]?.mtimeMs) {
      return { missing: `${join(folder, name)} is not as it was installed` };
    }
  }
  const { framework, cc, preload } = release;
  return {
    framework: join(folder, framework),
    cc: join(folder, cc),
    preload: preload.map((name) => join(folder, name)),
    versions: Object.fromEntries(release.wheels.map(({ package: name, version }) => [name, version])),
  };
}

async function readMarker(folder) {
  try {
    return JSON.parse(await readFile(join(folder, MARKER), 'utf8'));
  } catch {
    return undefined; // None, or not whole: both mean that the folder has to be checked.
  }
}

/** Notes the files as they lie there now, which must have been found whole. */
export async function writeMarker(folder, release) {
  const marker = {};
  for (const [name, sha256] of Object.entries(pinnedFiles(release))) {
    const { size, mtimeMs } = await stat(join(folder, name));
    marker[name] = { size, mtimeMs, sha256 };
  }
  // By a rename: a start that reads it at the same moment must not see a half of it.
  const temporary = join(folder, `${MARKER}.${process.pid}`);
  await writeFile(temporary, `${JSON.stringify(marker, null, 2)}\n`);
  await rename(temporary, join(folder, MARKER));
}

export async function sha256(path) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest('hex');
}

/** The first of `files` (name: SHA-256) in `folder` that is missing or whose bytes are not those expected, or undefined. */
export async function firstDamaged(folder, files) {
  for (const [name, expected] of Object.entries(files)) {
    const actual = await sha256(join(folder, name)).catch((error) => error.code ?? String(error));
    if (actual !== expected) return `${name} (${actual === 'ENOENT' ? 'missing' : `SHA-256 ${actual}`})`;
  }
  return undefined;
}
