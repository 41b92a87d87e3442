import { goTool, TOXIPROXY } from '../../scripts/go-tool.ts';
import { demandJava } from '../../scripts/kafka/jars.ts';
import { type Broker, freePort, startBroker } from '../../scripts/kafka.ts';
import { RepulsorError } from '../../src/errors.ts';
import { RequestGate } from './request-gate.ts';
import { Toxiproxy } from './toxiproxy.ts';

/**
 * A real broker that a trainer reaches through a real toxiproxy and then the gate (trainer -> toxiproxy -> gate ->
 * broker), and others directly, by a second listener: they see it whatever the network does to the trainer.
 */
export class KafkaGround {
  readonly toxiproxy: Toxiproxy;
  readonly gate: RequestGate;
  readonly #directPort: number;
  #broker: Broker;

  private constructor(broker: Broker, directPort: number, gate: RequestGate, toxiproxy: Toxiproxy) {
    this.#directPort = directPort;
    this.#broker = broker;
    this.gate = gate;
    this.toxiproxy = toxiproxy;
  }

  /** @throws RepulsorError ENGINE_UNAVAILABLE where Java, Maven or Go is missing */
  static async start(dir: string): Promise<KafkaGround> {
    const proxied = await freePort();
    const direct = await freePort();
    const broker = await startBroker({ dir, advertisedPort: proxied, ...withDirectListener(direct) });
    try {
      const gate = await RequestGate.start(await freePort(), broker.port);
      return new KafkaGround(broker, direct, gate, await Toxiproxy.start(proxied, gate.port));
    } catch (error) {
      await broker.kill();
      throw error;
    }
  }

  get broker(): Broker {
    return this.#broker;
  }

  /** The way through toxiproxy and the gate, which knows the trainer by the name of its client. */
  url(client: string): string {
    return `${this.#broker.url}?client.id=${client}`;
  }

  get directUrl(): string {
    return `kafka://127.0.0.1:${this.#directPort}`;
  }

  /** kill -9, and started again on the same data. Resolves when it is gone; `back` when it serves again. */
  async killBroker(): Promise<{ back: Promise<void> }> {
    const { port, dir } = this.#broker;
    await this.#broker.kill();
    const options = { port, dir, advertisedPort: this.toxiproxy.port, ...withDirectListener(this.#directPort) };
    const back = startBroker(options).then((broker) => {
      this.#broker = broker;
    });
    back.catch(() => undefined);
    return { back };
  }

  /** As it was before the trial. */
  async heal(): Promise<void> {
    this.gate.open();
    await this.toxiproxy.heal();
  }

  async stop(): Promise<void> {
    await this.toxiproxy.stop();
    await this.gate.stop();
    await this.#broker.kill();
  }
}

/** The broker, too, talks to itself directly: it checks with its coordinator what a transaction writes to. */
const withDirectListener = (port: number) => ({
  extraListener: { port, protocol: 'PLAINTEXT' },
  settings: { 'inter.broker.listener.name': 'EXTRA' },
});

/** Why no broker behind a toxiproxy can be had here; null when it can. */
export async function whyNoKafka(): Promise<string | null> {
  try {
    await demandJava();
    await goTool(TOXIPROXY);
    return null;
  } catch (error) {
    if (error instanceof RepulsorError && error.code === 'ENGINE_UNAVAILABLE') return error.message;
    throw error;
  }
}
