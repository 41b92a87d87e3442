import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ISocketFactory } from 'kafkajs';
import type { ReadMemory } from '../read-memory.ts';
import { readingLargeAnswers } from './large-answers.ts';

const KEEP_ALIVE_MS = 60_000;

/**
 * Every open socket of a client. kafkajs forgets sockets of connections that failed half-way or broke while they were being
 * closed, and an open socket keeps a process from ending.
 */
export class KafkaSockets {
  readonly #open = new Set<Socket>();
  readonly #memory: ReadMemory | null;
  #over = false;

  /** `memory`: for answers of megabytes, which `wholeAnswer` then gives (large-answers.ts); null: none are to come. */
  constructor(memory: ReadMemory | null) {
    this.#memory = memory;
  }

  /** Connects as kafkajs's own factory does. */
  readonly factory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
    if (this.#over) throw new Error('the log is closed');
    const onread = this.#memory ? readingLargeAnswers((data) => socket.emit('data', data), this.#memory) : undefined;
    const where = { host, port, ...(onread && { onread }) };
    const socket: Socket = ssl
      ? connectTls({ ...where, ...(isIP(host) === 0 && { servername: host }), ...ssl }, onConnect)
      : connectPlain(where, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    return socket;
  };

  /**
   * With an error, which makes kafkajs give up the answers that it waits for. None is opened afterwards: a request that
   * was under way would else connect again behind the close.
   */
  destroy(): void {
    this.#over = true;
    for (const socket of this.#open) socket.destroy(new Error('the log is closed'));
  }
}
