import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RepulsorError } from '../../src/errors.ts';
import { KafkaClient } from '../../src/log/kafka/kafka-client.ts';
import { type KafkaAddress, parseLogUrl } from '../../src/log/log-url.ts';
import { type ChildServer, childServer } from '../child-server.ts';
import { freePort } from '../free-port.ts';
import { untilAnswers } from '../until-answers.ts';
import { demandJava, kafkaJars } from './jars.ts';

export interface BrokerOptions {
  /** Port of the clients' listener on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** Where topics, settings and broker.log lie. Kept; a broker started on it again goes on. Default: a temporary folder, removed by `stop` and `kill`. */
  readonly dir?: string;
  /** Port that clients are told to use instead of `port`: that of a proxy in front, which makes faults. */
  readonly advertisedPort?: number;
  /** A second listener, named EXTRA, with another protocol: SSL, SASL_PLAINTEXT or SASL_SSL. `settings` configures it (listener.name.extra. ...). */
  readonly extraListener?: { readonly port: number; readonly protocol: string };
  /** For the first start: what else `StorageTool format` is told (--add-scram ...). */
  readonly formatArguments?: readonly string[];
  /** Further lines of server.properties. */
  readonly settings?: Readonly<Record<string, string>>;
  /** For the one line about a first download. */
  readonly say?: (line: string) => void;
}

export interface Broker extends ChildServer {
  /** `kafka://127.0.0.1:PORT` with the advertised port. */
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  readonly pid: number;
}

// A broker for one machine: small heap, no optimising compiler (it starts in half the time), little log.
const JVM = ['-Xms128m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'];

/**
 * Starts a real broker: a single KRaft node that is broker and controller. Resolves once it answers a metadata request.
 * @throws RepulsorError ENGINE_UNAVAILABLE when Java or Maven is missing, LOG_UNREACHABLE when it does not come up.
 */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  await demandJava();
  const jars = await kafkaJars(options.say);
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'repulsor-kafka-')));
  await mkdir(dir, { recursive: true });
  const port = options.port ?? (await freePort());
  const advertisedPort = options.advertisedPort ?? port;
  const properties = join(dir, 'server.properties');
  await writeFile(properties, serverProperties(dir, port, await freePort(), advertisedPort, options));
  await writeFile(join(dir, 'log4j2.properties'), LOGGING);
  const java = (mainClass: string, ...args: string[]): ChildProcess =>
    spawn(
      'java',
      [
        ...JVM,
        `-Dlog4j2.configurationFile=${join(dir, 'log4j2.properties')}`,
        `-Drepulsor.log=${join(dir, 'broker.log')}`,
        '-cp',
        join(jars, '*'),
        mainClass,
        ...args,
      ],
      { stdio: 'ignore' },
    );

  if (!existsSync(join(dir, 'data', 'meta.properties'))) {
    const format = java(
      'kafka.tools.StorageTool',
      'format',
      '-t',
      clusterId(),
      '-c',
      properties,
      '--standalone',
      ...(options.formatArguments ?? []),
    );
    const status = await exitOf(format);
    if (status !== 0) throw await failed(dir, `its data folder could not be formatted (status ${status})`);
  }
  const child = java('kafka.Kafka', properties);
  const server = childServer(child, options.dir === undefined ? dir : undefined);
  if (!(await untilAnswers(() => answers(port), server.ended))) {
    child.kill('SIGKILL');
    await server.ended;
    throw await failed(dir, `it does not answer on port ${port}`);
  }
  return {
    url: `kafka://127.0.0.1:${advertisedPort}`,
    port,
    dir,
    pid: child.pid!,
    ...server,
  };
}

function serverProperties(
  dir: string,
  port: number,
  controllerPort: number,
  advertisedPort: number,
  { extraListener, settings = {} }: BrokerOptions,
): string {
  const extra = extraListener === undefined ? '' : `,EXTRA://127.0.0.1:${extraListener.port}`;
  const extraProtocol = extraListener === undefined ? '' : `,EXTRA:${extraListener.protocol}`;
  const properties: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'log.dirs': join(dir, 'data'),
    'controller.quorum.bootstrap.servers': `127.0.0.1:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': `CONTROLLER:PLAINTEXT,DIRECT:PLAINTEXT${extraProtocol}`,
    listeners: `DIRECT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}${extra}`,
    'advertised.listeners': `DIRECT://127.0.0.1:${advertisedPort},CONTROLLER://127.0.0.1:${controllerPort}${extra}`,
    'inter.broker.listener.name': 'DIRECT',
    'auto.create.topics.enable': 'false',
    'default.replication.factor': '1',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '1',
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': '1000',
    'group.initial.rebalance.delay.ms': '0',
    // A broker that was killed may come back only when its session is over: 9 s by default.
    'broker.heartbeat.interval.ms': '500',
    'broker.session.timeout.ms': '4000',
    ...settings,
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

const LOGGING = `status=error
rootLogger.level=warn
rootLogger.appenderRef.file.ref=file
appender.file.type=File
appender.file.name=file
appender.file.fileName=\${sys:repulsor.log}
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d %p %m (%c)%n
`;

/** 22 characters of base64url that do not begin with "-", which the tool would take for a flag. */
function clusterId(): string {
  for (;;) {
    const id = randomBytes(16).toString('base64url');
    if (!id.startsWith('-')) return id;
  }
}

const exitOf = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve, reject) => child.once('error', reject).once('exit', resolve));

/** Whether it knows its cluster. Asked at the port itself: a proxy may not be up yet. */
async function answers(port: number): Promise<boolean> {
  const client = new KafkaClient(parseLogUrl(`kafka://127.0.0.1:${port}`) as KafkaAddress);
  try {
    return (await client.nodes()).length > 0;
  } catch {
    return false; // not yet
  } finally {
    await client.close();
  }
}

async function failed(dir: string, what: string): Promise<RepulsorError> {
  const log = await readFile(join(dir, 'broker.log'), 'utf8').catch(() => '');
  const last = log.trim().split('\n').slice(-5).join('\n');
  return new RepulsorError('LOG_UNREACHABLE', `the Kafka broker in ${dir} did not start: ${what}\n${last}`, {
    hint: `Read ${join(dir, 'broker.log')}. Is the port taken by another process?`,
  });
}
