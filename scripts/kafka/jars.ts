import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { RepulsorError } from '../../src/errors.ts';

export const KAFKA_VERSION = '4.1.1';
const OLDEST_JAVA = 17;

const run = promisify(execFile);

/** What a broker needs of the project that is not in it: Kafka's jars, by Maven. */
const POM = `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>repulsor</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>${KAFKA_VERSION}</version></dependency>
  </dependencies>
</project>
`;

const WITHOUT_JAVA =
  'Install a JDK of version 17 or newer and Maven (Debian: apt install openjdk-17-jdk-headless maven), ' +
  'or start the broker with docker: docker compose up kafka.';

/** $REPULSOR_CACHE, or $XDG_CACHE_HOME/repulsor, or ~/.cache/repulsor: outside of the clone, shared by all clones. */
export function cacheFolder(): string {
  return process.env.REPULSOR_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'repulsor');
}

/** @throws RepulsorError ENGINE_UNAVAILABLE saying what is missing and what to do instead. */
export async function demandJava(): Promise<void> {
  let said: string;
  try {
    said = (await run('java', ['-version'], { timeout: 30_000 })).stderr;
  } catch (error) {
    throw missing('java does not run here', error);
  }
  const version = Number(/version "(\d+)/.exec(said)?.[1] ?? 0);
  if (version < OLDEST_JAVA) throw missing(`java here is version ${version}, and Kafka needs ${OLDEST_JAVA}`);
}

/**
 * The folder of Kafka's jars, brought by Maven on the first call (54 MB) and taken from the cache ever after, without
 * a network. Several processes may call it at once: each fetches into a folder of its own, and the first to be done
 * gives its folder the name.
 */
export async function kafkaJars(say: (line: string) => void = () => undefined): Promise<string> {
  const cache = cacheFolder();
  const jars = join(cache, `kafka-${KAFKA_VERSION}`);
  if (existsSync(jars)) return jars;
  await mkdir(cache, { recursive: true });
  const partial = await mkdtemp(join(cache, '.kafka-'));
  try {
    say(`fetching Kafka ${KAFKA_VERSION} by Maven (54 MB, once) into ${jars} ...`);
    await writeFile(join(partial, 'pom.xml'), POM);
    const goal = ['-B', '-q', 'dependency:copy-dependencies', '-DoutputDirectory=jars', '-DincludeScope=runtime'];
    try {
      await run('mvn', goal, { cwd: partial, timeout: 600_000, maxBuffer: 16 << 20 });
    } catch (error) {
      throw missing(`mvn could not fetch Kafka ${KAFKA_VERSION}: ${reason(error)}`, error);
    }
    const fetched = join(partial, 'jars');
    if (!existsSync(join(fetched, `kafka_2.13-${KAFKA_VERSION}.jar`))) {
      throw missing(`mvn ended without an error, but brought no kafka_2.13-${KAFKA_VERSION}.jar`);
    }
    await rename(fetched, jars).catch((error: unknown) => {
      if (!existsSync(jars)) throw error; // another process was first otherwise
    });
    return jars;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

function reason(error: unknown): string {
  const { code, stdout } = error as { code?: unknown; stdout?: string };
  if (code === 'ENOENT') return 'mvn does not run here';
  return (stdout ?? '').split('\n').find((line) => line.startsWith('[ERROR]')) ?? String(error);
}

function missing(what: string, cause?: unknown): RepulsorError {
  return new RepulsorError('ENGINE_UNAVAILABLE', `no Kafka broker can be started: ${what}`, {
    hint: WITHOUT_JAVA,
    cause,
  });
}
