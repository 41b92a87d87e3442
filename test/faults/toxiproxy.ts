import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { goTool, TOXIPROXY } from '../../scripts/go-tool.ts';
import { freePort } from '../../scripts/kafka.ts';

/** A fault of the network, as toxiproxy makes it (its README, "Toxics"). */
export interface Toxic {
  readonly type: 'latency' | 'bandwidth' | 'slow_close' | 'timeout' | 'reset_peer' | 'slicer' | 'limit_data';
  /** Towards the broker, or back from it. */
  readonly stream: 'upstream' | 'downstream';
  readonly attributes: Readonly<Record<string, number>>;
}

const STARTS_WITHIN_MS = 60_000;

/** A real toxiproxy with one proxy in it. */
export class Toxiproxy {
  /** Where clients connect. */
  readonly port: number;
  readonly #api: string;
  readonly #process: ChildProcess;
  #toxics = 0;

  private constructor(port: number, api: string, process: ChildProcess) {
    this.port = port;
    this.#api = api;
    this.#process = process;
  }

  /** @throws RepulsorError ENGINE_UNAVAILABLE when it is not there and cannot be built */
  static async start(port: number, upstreamPort: number): Promise<Toxiproxy> {
    const program = await goTool(TOXIPROXY);
    const apiPort = await freePort();
    const child = spawn(program, ['-host', '127.0.0.1', '-port', String(apiPort)], {
      stdio: 'ignore',
      env: { ...process.env, LOG_LEVEL: 'error' },
    });
    process.once('exit', () => child.kill('SIGKILL'));
    const proxy = new Toxiproxy(port, `http://127.0.0.1:${apiPort}`, child);
    await proxy.#answers();
    await proxy.#ask('POST', '/proxies', {
      name: 'broker',
      listen: `127.0.0.1:${port}`,
      upstream: `127.0.0.1:${upstreamPort}`,
      enabled: true,
    });
    return proxy;
  }

  async add(...toxics: readonly Toxic[]): Promise<void> {
    for (const toxic of toxics)
      await this.#ask('POST', '/proxies/broker/toxics', { name: `toxic-${++this.#toxics}`, toxicity: 1, ...toxic });
  }

  /** Connections are refused, and those there are broken, until it is told otherwise. */
  async refuse(refused: boolean): Promise<void> {
    await this.#ask('POST', '/proxies/broker', { enabled: !refused });
  }

  /** Removes every toxic, and takes connections. */
  async heal(): Promise<void> {
    await this.#ask('POST', '/reset');
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill('SIGKILL');
    await ended;
  }

  async #answers(): Promise<void> {
    for (const begun = performance.now(); performance.now() - begun < STARTS_WITHIN_MS; await sleep(20)) {
      const there = await fetch(`${this.#api}/version`).catch(() => null);
      if (there?.ok) return;
      if (this.#process.exitCode !== null) break;
    }
    throw new Error('toxiproxy does not answer');
  }

  async #ask(method: string, path: string, body?: object): Promise<void> {
    const response = await fetch(`${this.#api}${path}`, { method, ...(body && { body: JSON.stringify(body) }) });
    if (!response.ok) throw new Error(`toxiproxy: ${method} ${path}: ${response.status} ${await response.text()}`);
  }
}
