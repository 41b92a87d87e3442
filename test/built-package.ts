import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, cp, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Below node_modules, so that the package finds its dependencies as in the clone. */
const CACHE = join(ROOT, 'node_modules', '.cache', 'repulsor-tests');
const DAY_MS = 86_400_000;
/** Whoever builds for longer has died. */
const BUILD_MS = 240_000;

/**
 * The folder of the package as it is published: compiled JavaScript, and the files that package.json names. Built once for the
 * files as they stand, by the first test that asks. Commands are started from it because a process that compiles TypeScript while it
 * loads takes 0.5 to 0.9 s of a core more; what a clone runs is the same modules, started by .ci/run and scripts/node-versions.ts.
 */
export async function builtPackage(): Promise<string> {
  const { files } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { files: string[] };
  const copied = [...files.filter((name) => name !== 'dist'), 'package.json'];
  const built = join(CACHE, await digestOf(['src', 'tsconfig.json', 'tsconfig.build.json', ...copied]));
  const building = `${built}.building`;
  for (;;) {
    if (await isThere(built)) return built;
    await mkdir(CACHE, { recursive: true });
    const mine = await mkdir(building).then(
      () => true,
      () => false, // another test process builds it
    );
    if (mine) break;
    const { mtimeMs } = await stat(building).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > BUILD_MS) await rm(building, { recursive: true, force: true });
    else await sleep(100);
  }
  try {
    await compile(join(building, 'dist'));
    for (const name of copied) await cp(join(ROOT, name), join(building, name), { recursive: true });
    await rename(building, built);
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  await removeOld();
  return built;
}

async function compile(outDir: string): Promise<void> {
  await promisify(execFile)('npx', ['tsc', '-p', 'tsconfig.build.json', '--outDir', outDir], { cwd: ROOT }).catch(
    ({ stdout, message }: Error & { stdout: string }) => {
      throw new Error(`the package cannot be built: ${message}\n${stdout}`);
    },
  );
}

async function digestOf(names: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const name of names) {
    const path = join(ROOT, name);
    const inside = (await stat(path)).isDirectory() ? (await readdir(path, { recursive: true })).sort() : [''];
    for (const file of inside) {
      const bytes = await readFile(join(path, file)).catch(() => null); // a folder
      if (bytes !== null) hash.update(`${join(name, file)} ${bytes.length}\n`).update(bytes);
    }
  }
  return hash.digest('hex').slice(0, 16);
}

async function removeOld(): Promise<void> {
  for (const name of await readdir(CACHE)) {
    const path = join(CACHE, name);
    const found = await stat(path).catch(() => null);
    if (found !== null && Date.now() - found.mtimeMs > DAY_MS) await rm(path, { recursive: true, force: true });
  }
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
