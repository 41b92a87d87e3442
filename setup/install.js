/** Brings a release into the cache: fetched by pip, checked by SHA-256, seen there only when it is whole. */
import { spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import {
  cacheFolder,
  firstDamaged,
  librariesFolder,
  librariesOf,
  pinnedFiles,
  sha256,
  unsupported,
  writeMarker,
} from './libraries.js';

/** What the wheels were built for. It does not depend on the Python that fetches them. */
const PIP_TARGET = [
  ...'--only-binary=:all: --python-version 3.11 --implementation cp --abi cp311'.split(' '),
  ...['_2_27', '_2_25', '2014', '2010'].flatMap((age) => ['--platform', `manylinux${age}_x86_64`]),
];
const STALE_MS = 24 * 3600 * 1000;

const EXTRACT = `
import os, shutil, sys, zipfile
archive, target, root = sys.argv[1:4]
with zipfile.ZipFile(archive) as wheel:
    for name in sys.argv[4:]:
        path = os.path.join(target, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with wheel.open(root + name) as source, open(path, 'wb') as file:
            shutil.copyfileobj(source, file, 1 << 20)
        if '/bin/' in path:
            os.chmod(path, 0o755)
`;

/** Brings `release`. Resolves to undefined, or to the reason why not. `say` is told what takes its time. */
export async function bring(release, say) {
  const reason = unsupported();
  if (reason) return reason;
  if (!(await librariesOf(release)).missing) return undefined;
  const folder = librariesFolder(release);
  if (existsSync(folder)) {
    const damaged = await firstDamaged(folder, pinnedFiles(release));
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
    return (await librariesOf(release)).missing;
  } catch (error) {
    return error.message;
  }
}

/** Fetches, checks and installs. Nothing is seen in the cache before it is whole. */
async function install(say, release) {
  const python = await findPython();
  const cache = cacheFolder();
  await mkdir(cache, { recursive: true });
  await removeStale(cache);
  await demandRoom(cache, release);
  const partial = await mkdtemp(join(cache, '.partial-'));
  const stop = (signal) => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(partial, { recursive: true, force: true });
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    const { title, wheels } = release;
    const megabytes = Math.round(wheels.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6);
    say(`fetching ${title} (${megabytes} MB, once) into ${cache} ...`);
    const libraries = join(partial, 'libraries');
    await mkdir(libraries);
    for (const [index, wheel] of wheels.entries()) {
      if (wheels.length > 1) say(`${index + 1} of ${wheels.length}: ${wheel.package} ${wheel.version}`);
      await unpack(python, wheel, release.root, partial, libraries);
    }
    await writeMarker(libraries, release);
    await publish(libraries, partial, release);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    await rm(partial, { recursive: true, force: true });
  }
}

/** One wheel's files into `libraries`, checked; the wheel itself is gone afterwards. */
async function unpack(python, { package: name, version, file, sha256: expected, files }, root, partial, libraries) {
  const download = ['-m', 'pip', 'download', '--no-deps', '--no-cache-dir', '--disable-pip-version-check'];
  await run(python, [...download, ...PIP_TARGET, '--dest', partial, `${name}==${version}`]).catch((error) => {
    throw new Error(`pip could not fetch ${name} ${version}: ${error.message}`);
  });
  const wheel = join(partial, file);
  const actual = await sha256(wheel).catch((error) => error.code);
  if (actual !== expected) throw new Error(`${file} has SHA-256 ${actual}, not the expected ${expected}`);
  await run(python, ['-c', EXTRACT, wheel, libraries, root, ...Object.keys(files)]);
  const damaged = await firstDamaged(libraries, files);
  if (damaged) throw new Error(`the wheel holds an unexpected ${damaged}`);
  await rm(wheel);
}

/** A disk that fills up half-way would cost gigabytes of transfer. */
async function demandRoom(cache, { title, wheels, unpackedBytes }) {
  const wanted = unpackedBytes + Math.max(...wheels.map(({ bytes }) => bytes));
  const { bavail, bsize } = await statfs(cache);
  if (bavail * bsize >= wanted) return;
  const gigabytes = (bytes) => (bytes / 1e9).toFixed(1);
  throw new Error(
    `${title} needs ${gigabytes(wanted)} GB of disk, and ${cache} has ${gigabytes(bavail * bsize)} GB left (REPULSOR_CACHE names another folder)`,
  );
}

/** Puts the finished folder in its place: by one rename, whatever stood there before is moved out of the way. */
async function publish(libraries, partial, release) {
  const folder = librariesFolder(release);
  try {
    await rename(libraries, folder);
  } catch (error) {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    // Damaged, or another set-up that ran at the same time was faster: its folder is as good as ours.
    if (!(await librariesOf(release)).missing) return;
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
