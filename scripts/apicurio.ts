import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { RepulsorError } from '../src/errors.ts';
import { type ChildServer, childServer } from './child-server.ts';
import { freePort } from './free-port.ts';
import { cacheFolder } from './kafka/jars.ts';
import { untilAnswers } from './until-answers.ts';

const VERSION = '3.0.9';
const JAR = `apicurio-registry-app-${VERSION}-runner.jar`;

export interface RegistryOptions {
  /** On 127.0.0.1. Default: a free one. */
  readonly port?: number;
  readonly say?: (line: string) => void;
}

export interface RegistryServer extends ChildServer {
  /** Of Confluent's API. */
  readonly url: string;
}

const run = promisify(execFile);

/** The folder of the registry's jars, brought by Maven on the first call (109 MB), from the cache ever after. As scripts/kafka/jars.ts. */
async function registryJars(say: (line: string) => void): Promise<string> {
  const jars = join(cacheFolder(), `apicurio-${VERSION}`);
  if (existsSync(jars)) return jars;
  await mkdir(cacheFolder(), { recursive: true });
  const partial = await mkdtemp(join(cacheFolder(), '.apicurio-'));
  try {
    say(`fetching Apicurio Registry ${VERSION} by Maven (109 MB, once) into ${jars} ...`);
    const artifact = `-Dartifact=io.apicurio:apicurio-registry-app:${VERSION}:tar.gz:all`;
    await run('mvn', ['-B', '-q', 'dependency:unpack', artifact, `-DoutputDirectory=${join(partial, 'jars')}`], {
      cwd: partial,
      timeout: 600_000,
      maxBuffer: 16 << 20,
    });
    await rename(join(partial, 'jars'), jars).catch((error: unknown) => {
      if (!existsSync(jars)) throw error; // another process was first
    });
    return jars;
  } catch (error) {
    const { code, stdout } = error as { code?: unknown; stdout?: string };
    const said = (stdout ?? '').split('\n').find((line) => line.startsWith('[ERROR]')) ?? String(error);
    throw new RepulsorError(
      'ENGINE_UNAVAILABLE',
      `no schema registry can be started: ${code === 'ENOENT' ? 'mvn does not run here' : said}`,
      { hint: 'Install a JDK of version 17 or newer and Maven.', cause: error },
    );
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

// As for a broker: it starts in less time than it would run fast in.
const JVM = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'];

/**
 * Starts a real schema registry, Apicurio's, which keeps its schemas in memory. Resolves once it answers by Confluent's API.
 * @throws RepulsorError ENGINE_UNAVAILABLE when Java or Maven is missing, REGISTRY_FAILED when it does not come up
 */
export async function startRegistry(options: RegistryOptions = {}): Promise<RegistryServer> {
  const jars = await registryJars(options.say ?? (() => undefined));
  const port = options.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}/apis/ccompat/v7`;
  const dir = await mkdtemp(join(tmpdir(), 'repulsor-registry-'));
  const child = spawn('java', [...JVM, '-jar', join(jars, JAR)], {
    cwd: dir,
    env: {
      ...process.env,
      QUARKUS_HTTP_HOST: '127.0.0.1',
      QUARKUS_HTTP_PORT: `${port}`,
      QUARKUS_LOG_LEVEL: 'WARN',
      APICURIO_STORAGE_KIND: 'sql',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-2_000);
  });
  const server = childServer(child, dir);
  if (!(await untilAnswers(() => answers(url), server.ended))) {
    await server.kill();
    throw new RepulsorError('REGISTRY_FAILED', `the schema registry does not answer at ${url}: ${stderr.trim()}`, {
      hint: 'See whether the port is free, and whether java runs the jar in the cache by hand.',
    });
  }
  return { url, ...server };
}

const answers = (url: string): Promise<boolean> =>
  fetch(`${url}/subjects`).then(
    ({ ok }) => ok,
    () => false,
  );

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const server = await startRegistry({ port: 8081, say: console.log });
  console.log(`Apicurio Registry ${VERSION}, in memory, with Confluent's API: ${server.url}; Ctrl-C ends it`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void server.stop());
  await server.ended;
}
