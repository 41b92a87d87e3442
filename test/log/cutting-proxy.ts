import { connect, createServer, type Server, type Socket } from 'node:net';

/** What happens to the next request of a kind: it never reaches the broker, or its answer never comes back. */
export type Cut = 'request' | 'answer';

export const API = { produce: 0, endTxn: 26, addPartitionsToTxn: 24, initProducerId: 22 } as const;

/** Stands between a client and a broker, and cuts the connection at a chosen request. It reads frames (size:i32 key:i16 ...). */
export class CuttingProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #cuts: { key: number; cut: Cut }[] = [];
  /** How many connections were cut. */
  done = 0;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async start(port: number, brokerPort: number): Promise<CuttingProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const proxy = new CuttingProxy(server, port);
    server.on('connection', (client) => proxy.#forward(client, brokerPort));
    return proxy;
  }

  cutNext(key: number, cut: Cut): void {
    this.#cuts.push({ key, cut });
  }

  #forward(client: Socket, brokerPort: number): void {
    const broker = connect(brokerPort, '127.0.0.1');
    for (const socket of [client, broker]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
    }
    client.on('close', () => broker.destroy());
    broker.on('close', () => client.destroy());
    let mute = false;
    broker.on('data', (data) => {
      if (!mute) client.write(data);
    });
    let held = Buffer.alloc(0);
    client.on('data', (data) => {
      held = Buffer.concat([held, data]);
      while (held.length >= 6 && held.length >= 4 + held.readInt32BE(0)) {
        const frame = held.subarray(0, 4 + held.readInt32BE(0));
        held = held.subarray(frame.length);
        const index = this.#cuts.findIndex(({ key }) => key === frame.readInt16BE(4));
        const cut = index < 0 ? null : this.#cuts.splice(index, 1)[0]!.cut;
        if (cut === null) {
          broker.write(frame);
          continue;
        }
        this.done += 1;
        mute = true;
        if (cut === 'answer') broker.write(frame);
        setTimeout(() => client.destroy(), cut === 'answer' ? 300 : 0); // the broker has answered by then
        return;
      }
    });
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
