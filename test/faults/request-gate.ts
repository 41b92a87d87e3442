import { connect, createServer, type Server, type Socket } from 'node:net';
import { Judged } from './fault.ts';

/*
 * Frames on a connection to a Kafka broker (kafka.apache.org/protocol):
 *
 *   request = size:i32 key:i16 version:i16 correlation:i32 client:string ...
 *   answer  = size:i32 correlation:i32 ...
 */

/** The requests of a trainer's commits and take-overs, by their API key. */
export const REQUESTS: Readonly<Record<number, string>> = {
  0: 'Produce',
  22: 'InitProducerId',
  24: 'AddPartitionsToTxn',
  25: 'AddOffsetsToTxn',
  26: 'EndTxn',
  28: 'TxnOffsetCommit',
};

/** A request that has reached the gate, and no further. */
export interface HeldRequest {
  readonly name: string;
  /** The client.id of who sent it. */
  readonly client: string;
}

/** What becomes of it: it goes on; it never reaches the broker; or the broker does it, and its answer is withheld until the promise resolves, for ever if to false. */
export type Fate = 'pass' | 'drop' | { readonly answered: () => Promise<boolean> };

export type Keeper = (request: HeldRequest) => Promise<Fate>;

/** Ends a hold: everything passes again. @throws Judged "not tried" when the request never came; `told` says what else is known */
export type Release = (told: string) => void;

/**
 * Stands right in front of the broker. Each request of a transaction waits here until the trial has said what becomes of
 * it: so a trial steps through the protocol of a trainer that knows nothing of it, request by request.
 */
export class RequestGate {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Null lets everything through. */
  #keeper: Keeper | null = null;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async start(port: number, brokerPort: number): Promise<RequestGate> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const gate = new RequestGate(server, port);
    server.on('connection', (client) => gate.#forward(client, brokerPort));
    return gate;
  }

  /** Asks `decide` what becomes of the request number `index` (from 0) of `client`; all others pass. */
  hold(client: string, index: number, decide: Keeper): Release {
    let reached = 0;
    this.#keeper = async (held) => (held.client !== client || reached++ !== index ? 'pass' : decide(held));
    return (told) => {
      this.open();
      if (reached <= index) throw new Judged('not tried', `only ${reached} requests: ${told}`);
    };
  }

  /** The requests that `client` sends while `work` is done, by their names. */
  async requestsOf(client: string, work: () => Promise<unknown>): Promise<string[]> {
    const names: string[] = [];
    this.#keeper = async (held) => {
      if (held.client === client) names.push(held.name);
      return 'pass';
    };
    await work();
    this.open();
    return names;
  }

  /** Lets everything through. */
  open(): void {
    this.#keeper = null;
  }

  #forward(client: Socket, brokerPort: number): void {
    const broker = connect(brokerPort, '127.0.0.1');
    for (const socket of [client, broker]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
    }
    client.on('close', () => broker.destroy());
    broker.on('close', () => client.destroy());
    const withheld = new Map<number, () => Promise<boolean>>();
    const requests = inOrder(async (frame) => {
      const fate = await this.#fateOf(frame);
      if (fate === 'drop') return;
      if (fate !== 'pass') withheld.set(frame.readInt32BE(8), fate.answered);
      broker.write(frame);
    });
    const answers = inOrder(async (frame) => {
      const answered = withheld.get(frame.readInt32BE(4));
      withheld.delete(frame.readInt32BE(4));
      if (answered === undefined || (await answered())) client.write(frame);
    });
    client.on('data', frames(requests));
    broker.on('data', frames(answers));
  }

  async #fateOf(frame: Buffer): Promise<Fate> {
    const name = REQUESTS[frame.readInt16BE(4)];
    if (this.#keeper === null || name === undefined) return 'pass';
    const length = frame.readInt16BE(12);
    return this.#keeper({ name, client: length < 0 ? '' : frame.toString('utf8', 14, 14 + length) });
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Cuts a stream into its frames. */
function frames(each: (frame: Buffer) => void): (data: Buffer) => void {
  let held: Buffer = Buffer.alloc(0);
  return (data) => {
    held = held.length === 0 ? data : Buffer.concat([held, data]);
    while (held.length >= 4 && held.length >= 4 + held.readInt32BE(0)) {
      each(held.subarray(0, 4 + held.readInt32BE(0)));
      held = held.subarray(4 + held.readInt32BE(0));
    }
  };
}

function inOrder(handle: (frame: Buffer) => Promise<void>): (frame: Buffer) => void {
  let last = Promise.resolve();
  return (frame) => {
    last = last.then(() => handle(frame)).catch(() => undefined);
  };
}
