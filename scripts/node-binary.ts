import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { RepulsorError } from '../src/errors.ts';
import { cacheFolder } from './kafka/jars.ts';

const run = promisify(execFile);

/** The npm package that is nothing but Node's program for this machine; npm's package `node` fetches it by a script. */
function packageName(): string {
  const { platform, arch } = process;
  return `${platform === 'darwin' && arch === 'arm64' ? 'node-bin' : 'node'}-${platform}-${arch}`;
}

/**
 * The path of Node `version` (`22`: the newest of that line; `22.20.0`: that one), brought by npm into the cache. Where npm
 * cannot be asked, the one that it brought before is taken.
 * @throws RepulsorError ENGINE_UNAVAILABLE when there is none
 */
export async function nodeBinary(version: string): Promise<string> {
  const folder = join(cacheFolder(), `node-${version}`);
  const program = join(folder, 'node_modules', packageName(), 'bin', 'node');
  try {
    await mkdir(folder, { recursive: true });
    // Without one npm would look for a package.json in the folders above.
    await writeFile(join(folder, 'package.json'), '{ "private": true }\n');
    const wanted = `${packageName()}@${version}`;
    await run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', wanted], { cwd: folder });
  } catch (error) {
    if (existsSync(program)) return program;
    const { stderr } = error as { stderr?: string };
    throw new RepulsorError('ENGINE_UNAVAILABLE', `npm cannot bring Node ${version}: ${stderr?.trim() || error}`, {
      hint: `install Node ${version} by other means, and run the commands with it`,
      cause: error,
    });
  }
  return program;
}
