/**
 * A real Kafka broker on this machine, without docker: `npm run kafka -- [--port 9092] [--dir FOLDER]`.
 * It runs in the foreground until Ctrl-C. Tests call `startBroker`.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startBroker } from './kafka/broker.ts';
import { cacheFolder, KAFKA_VERSION } from './kafka/jars.ts';
import { runScript } from './run-script.ts';

export { freePort } from './free-port.ts';
export { type Broker, type BrokerOptions, startBroker } from './kafka/broker.ts';

const USAGE = `Usage: npm run kafka -- [--port PORT] [--dir FOLDER]

  --port PORT    where clients connect, on 127.0.0.1 (default 9092)
  --dir FOLDER   where topics are kept (default: a folder in the cache, one a port); delete it to begin anew`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { port: { type: 'string', default: '9092' }, dir: { type: 'string' }, help: { type: 'boolean' } },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new TypeError(`--port ${values.port} is no port`);
  const dir = values.dir ?? join(cacheFolder(), `kafka-data-${port}`);
  const broker = await startBroker({ port, dir, say: (line) => console.error(line) });
  console.error(`Kafka ${KAFKA_VERSION} is ready: ${broker.url}\ntopics and broker.log: ${dir}\nCtrl-C stops it.`);
  const stop = (): void => {
    console.error('stopping ...');
    void broker.stop();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, stop);
  await broker.ended;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) runScript(main, USAGE);
