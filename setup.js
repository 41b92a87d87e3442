#!/usr/bin/env node
/**
 * Brings the native engine: TensorFlow's two shared libraries, out of its PyPI wheel, into a cache outside of the
 * clone. Plain JavaScript without dependencies. Safe to run again (quick and offline when the cache is whole) and
 * to run twice at once. Without it, or where it cannot work, everything runs on WebAssembly, more slowly.
 *
 *     node setup.js [--engine native|wasm] [--quiet]
 *
 * Prints one line: the engine, and why not a better one. Exit status 0; 1 if --engine native cannot be had; 2 for
 * wrong arguments. With --quiet it prints that line only when the engine is not the best.
 *
 * The cache: $REPULSOR_CACHE, or $XDG_CACHE_HOME/repulsor, or ~/.cache/repulsor. In it one folder a version, which
 * appears whole by a rename. Its marker `complete.json` holds each file's size and time of change, so that a start
 * need not read 850 MB; a file that does not match is read and compared by SHA-256, and brought again if it differs.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

/** The pinned release: its wheel, and of that the files that are needed, with their SHA-256. */
export const RELEASE = {
  version: '2.21.0',
  package: 'tensorflow-cpu',
  wheel: {
    file: 'tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl',
    sha256: '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c',
    size: '274 MB',
  },
  files: {
    'libtensorflow_framework.so.2': 'f060b323b26ef80add21b9df9428de3aeaf2843d772c5bb098745f7abff3709b',
    'libtensorflow_cc.so.2': '6505a4b9657e62100c6bdacb683957a395cb047725042945aaa50e40a71e429e',
  },
};
/** What the wheel was built for. It does not depend on the Python that fetches it. */
const PIP_TARGET =
  '--python-version 3.11 --implementation cp --abi cp311 --platform manylinux_2_27_x86_64 --only-binary=:all:'.split(
    ' ',
  );
const GLIBC = [2, 27];
const MARKER = 'complete.json';
const STALE_MS = 24 * 3600 * 1000;

const GPU =
  'A GPU is not used yet: that takes the CUDA build of TensorFlow (PyPI: tensorflow[and-cuda]), which this version does not bring.';

function cacheFolder() {
  return process.env.REPULSOR_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'repulsor');
}

function librariesFolder(release) {
  return join(cacheFolder(), `${release.package}-${release.version}-linux-x64`);
}

/** Why this machine cannot run the native engine, or undefined. */
function unsupported() {
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
 * @returns {Promise<{ framework: string, cc: string, missing?: undefined } | { missing: string }>}
 */
export async function installedLibraries(release = RELEASE) {
  const reason = unsupported();
  if (reason) return { missing: reason };
  const folder = librariesFolder(release);
  const marker = await readMarker(folder);
  if (!marker) return { missing: `TensorFlow ${release.version} is not in ${folder}` };
  for (const name of Object.keys(release.files)) {
    const found = await stat(join(folder, name)).catch(() => undefined);
    if (!found) return { missing: `${join(folder, name)} is missing` };
    if (found.size !== marker[name]?.size || found.mtimeMs !== marker[name]?.mtimeMs) {
      return { missing: `${join(folder, name)} is not as it was installed` };
    }
  }
  return { framework: join(folder, 'libtensorflow_framework.so.2'), cc: join(folder, 'libtensorflow_cc.so.2') };
}

async function readMarker(folder) {
  try {
    return JSON.parse(await readFile(join(folder, MARKER), 'utf8'));
  } catch {
    return undefined; // None, or not whole: both mean that the folder has to be checked.
  }
}

async function writeMarker(folder, release) {
  const marker = {};
  for (const name of Object.keys(release.files)) {
    const { size, mtimeMs } = await stat(join(folder, name));
    marker[name] = { size, mtimeMs, sha256: release.files[name] };
  }
  // By a rename: a start that reads it at the same moment must not see a half of it.
  const temporary = join(folder, `${MARKER}.${process.pid}`);
  await writeFile(temporary, `${JSON.stringify(marker, null, 2)}\n`);
  await rename(temporary, join(folder, MARKER));
}

async function sha256(path) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest('hex');
}

/** The first file of `folder` that is missing or whose bytes are not those expected, or undefined. */
async function firstDamaged(folder, release) {
  for (const [name, expected] of Object.entries(release.files)) {
    const actual = await sha256(join(folder, name)).catch((error) => error.code ?? String(error));
    if (actual !== expected) return `${name} (${actual === 'ENOENT' ? 'missing' : `SHA-256 ${actual}`})`;
  }
  return undefined;
}

/** The programs running now: they must not outlive this one. */
const children = new Set();

/** Runs a program to its end. Resolves to what it printed; rejects with its last words. */
function run(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    children.add(child);
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      children.delete(child);
      if (code === 0) return resolve(out);
      const lines = err
        .trim()
        .split('\n')
        .filter((line) => !/^\[notice\]|^WARNING/.test(line));
      reject(new Error(lines.at(-1) || `it ended with ${signal ?? `status ${code}`}`));
    });
  });
}

async function findPython() {
  for (const python of ['python3', 'python']) {
    const version = await run(python, ['--version']).catch(() => undefined);
    if (version === undefined) continue;
    await run(python, ['-m', 'pip', '--version']).catch((error) => {
      throw new Error(`${python} has no pip to fetch TensorFlow with (${error.message})`);
    });
    return python;
  }
  throw new Error('there is no python3 on the PATH to fetch TensorFlow with');
}

const EXTRACT = `
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for name in sys.argv[3:]:
        with wheel.open('tensorflow/' + name) as source, open(sys.argv[2] + '/' + name, 'wb') as target:
            shutil.copyfileobj(source, target, 1 << 20)
`;

/** Fetches, checks and installs. Nothing is seen in the cache before it is whole. */
async function install(say, release) {
  const python = await findPython();
  const cache = cacheFolder();
  await mkdir(cache, { recursive: true });
  await removeStale(cache);
  const partial = await mkdtemp(join(cache, '.partial-'));
  const stop = (signal) => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(partial, { recursive: true, force: true });
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    say(`fetching TensorFlow ${release.version} (${release.wheel.size}, once) into ${cache} ...`);
    const download = ['-m', 'pip', 'download', '--no-deps', '--no-cache-dir', '--disable-pip-version-check'];
    const wanted = ['--dest', partial, `${release.package}==${release.version}`];
    await run(python, [...download, ...PIP_TARGET, ...wanted]).catch((error) => {
      throw new Error(`pip could not fetch ${release.package} ${release.version}: ${error.message}`);
    });
    const wheel = join(partial, release.wheel.file);
    const actual = await sha256(wheel).catch((error) => error.code);
    if (actual !== release.wheel.sha256) {
      throw new Error(`${release.wheel.file} has SHA-256 ${actual}, not the expected ${release.wheel.sha256}`);
    }
    const libraries = join(partial, 'libraries');
    await mkdir(libraries);
    await run(python, ['-c', EXTRACT, wheel, libraries, ...Object.keys(release.files)]);
    const damaged = await firstDamaged(libraries, release);
    if (damaged) throw new Error(`the wheel holds an unexpected ${damaged}`);
    await writeMarker(libraries, release);
    await publish(libraries, partial, release);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    await rm(partial, { recursive: true, force: true });
  }
}

/** Puts the finished folder in its place: by one rename, whatever stood there before is moved out of the way. */
async function publish(libraries, partial, release) {
  const folder = librariesFolder(release);
  try {
    await rename(libraries, folder);
  } catch (error) {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    // Damaged, or another set-up that ran at the same time was faster: its folder is as good as ours.
    if (!(await installedLibraries(release)).missing) return;
    await rename(folder, join(partial, 'replaced'));
    await rename(libraries, folder);
  }
}

/** What a set-up that was killed left behind. */
async function removeStale(cache) {
  for (const name of await readdir(cache)) {
    const path = join(cache, name);
    if (!name.startsWith('.partial-')) continue;
    const found = await stat(path).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > STALE_MS) await rm(path, { recursive: true, force: true });
  }
}

/** Brings the native engine. Resolves to undefined, or to the reason why not. */
export async function bringNative(say, release = RELEASE) {
  const reason = unsupported();
  if (reason) return reason;
  if (!(await installedLibraries(release)).missing) return undefined;
  const folder = librariesFolder(release);
  if (existsSync(folder)) {
    const damaged = await firstDamaged(folder, release);
    // Touched, or copied from elsewhere, and unharmed: only the marker is old.
    if (
      !damaged &&
      (await writeMarker(folder, release)
        .then(() => true)
        .catch(() => false))
    )
      return undefined;
    say(`replacing ${folder}: ${damaged ?? 'its marker cannot be written'}`);
  }
  try {
    await install(say, release);
    return (await installedLibraries(release)).missing;
  } catch (error) {
    return error.message;
  }
}

async function main() {
  let options;
  try {
    options = parseArgs({ options: { engine: { type: 'string' }, quiet: { type: 'boolean' } } }).values;
    if (options.engine !== undefined && !['native', 'wasm'].includes(options.engine)) {
      throw new Error(`--engine is native or wasm, not ${options.engine}`);
    }
  } catch (error) {
    console.error(`setup: ${error.message}\nusage: node setup.js [--engine native|wasm] [--quiet]`);
    return 2;
  }
  const say = options.quiet ? () => {} : (line) => console.error(`setup: ${line}`);
  if (options.engine === 'wasm') {
    if (!options.quiet) console.log('setup: engine wasm, as asked for (slower than native).');
    return 0;
  }
  const reason = await bringNative(say);
  if (reason === undefined) {
    if (!options.quiet) console.log(`setup: engine native (TensorFlow ${RELEASE.version} on the CPU). ${GPU}`);
    return 0;
  }
  if (options.engine === 'native') {
    console.error(`setup: the native engine cannot be had: ${reason}.`);
    return 1;
  }
  console.log(`setup: engine wasm (slower), because ${reason}.`);
  return 0;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) process.exitCode = await main();
