import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { RepulsorError } from '../src/errors.ts';
import { cacheFolder } from './kafka/jars.ts';

const run = promisify(execFile);

/** A program that tests run against and only Go brings: its package, its pinned version, and what `go install` names it. */
export interface GoTool {
  readonly name: string;
  readonly package: string;
  readonly version: string;
  readonly binary: string;
}

export const TOXIPROXY: GoTool = {
  name: 'toxiproxy',
  package: 'github.com/Shopify/toxiproxy/v2/cmd/server',
  version: 'v2.12.0',
  binary: 'server',
};

export const VERSITYGW: GoTool = {
  name: 'versitygw',
  package: 'github.com/versity/versitygw/cmd/versitygw',
  version: 'v1.8.0',
  binary: 'versitygw',
};

/**
 * The program's path; built on the first call and taken from the cache ever after. Several processes may call it at
 * once: each builds into a folder of its own, and the last to be done gives its program the name.
 * @throws RepulsorError ENGINE_UNAVAILABLE when Go is missing or cannot build it
 */
export async function goTool(tool: GoTool, say: (line: string) => void = () => undefined): Promise<string> {
  const cache = cacheFolder();
  const path = join(cache, `${tool.name}-${tool.version}`);
  if (existsSync(path)) return path;
  await mkdir(cache, { recursive: true });
  const partial = await mkdtemp(join(cache, `.${tool.name}-`));
  try {
    say(`building ${tool.name} ${tool.version} by Go (once) into ${path} ...`);
    await run('go', ['install', `${tool.package}@${tool.version}`], {
      env: { ...process.env, GOBIN: partial },
      timeout: 600_000,
      maxBuffer: 16 << 20,
    });
    await rename(join(partial, tool.binary), path);
    return path;
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    const why = code === 'ENOENT' ? 'go does not run here' : (stderr?.trim().split('\n').at(-1) ?? String(error));
    throw new RepulsorError('ENGINE_UNAVAILABLE', `${tool.name} ${tool.version} cannot be built: ${why}`, {
      hint: 'Install Go 1.24 or newer.',
      cause: error,
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}
