import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

/** Bytes hashed at once: the main thread copies so many in well under a millisecond. */
const SLOT_BYTES = 2 * 1024 * 1024;
const SLOTS = 4;

/** Hashing is half of what a commit costs, and it goes on while steps do: more threads would only take theirs. */
const MOST_WORKERS = Math.min(4, availableParallelism());

/**
 * The worker: hashes what lies in a slot and says so; asked for the digest, tells it and begins anew. As text, because a
 * file of its own would have to be found, and understood, as source and as built alike.
 */
const WORKER = `
const { createHash } = require('node:crypto');
const { parentPort, workerData } = require('node:worker_threads');
const slots = workerData.map((buffer) => new Uint8Array(buffer));
let hash = createHash('sha256');
parentPort.on('message', ({ slot, bytes }) => {
  if (slot === null) {
    parentPort.postMessage({ slot, digest: hash.digest('hex') });
    hash = createHash('sha256');
  } else {
    hash.update(slots[slot].subarray(0, bytes));
    parentPort.postMessage({ slot });
  }
});
`;

type Reply = { readonly slot: number } | { readonly slot: null; readonly digest: string };

/** A thread that hashes, and the memory it shares with this one. It keeps the process alive only while it has work. */
class HashThread {
  readonly slots: readonly Uint8Array[];
  readonly #worker: Worker;
  /** Slots that the worker is done with. */
  readonly free: number[] = [];
  #reply: { resolve(): void; reject(error: unknown): void } | null = null;
  #digest: string | null = null;
  #failure: unknown = null;

  constructor() {
    const buffers = Array.from({ length: SLOTS }, () => new SharedArrayBuffer(SLOT_BYTES));
    this.slots = buffers.map((buffer) => new Uint8Array(buffer));
    // The flags of this process (loaders, inspectors) are not for it.
    this.#worker = new Worker(WORKER, { eval: true, workerData: buffers, execArgv: [] });
    this.#worker.on('message', (reply: Reply) => {
      if (reply.slot === null) this.#digest = reply.digest;
      else this.free.push(reply.slot);
      this.#reply?.resolve();
    });
    this.#worker.on('error', (error) => {
      this.#failure = error;
      this.#reply?.reject(error);
    });
    this.#worker.unref();
  }

  begin(): void {
    this.free.splice(0, SLOTS, ...this.slots.keys());
    this.#worker.ref();
  }

  send(slot: number | null, bytes = 0): void {
    this.#worker.postMessage({ slot, bytes });
  }

  /** Waits for a free slot. */
  async slot(): Promise<number> {
    while (this.free.length === 0) await this.#next();
    return this.free.shift()!;
  }

  /** The digest of all that was sent since the last one. All slots are free after it. */
  async end(): Promise<string> {
    this.send(null);
    while (this.#digest === null) await this.#next();
    const digest = this.#digest;
    this.#digest = null;
    this.#worker.unref();
    return digest;
  }

  #next(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) reject(this.#failure);
      this.#reply = { resolve, reject };
    });
  }
}

const idle: HashThread[] = [];
const waiting: ((thread: HashThread) => void)[] = [];
let made = 0;

async function take(): Promise<HashThread> {
  const thread = idle.pop();
  if (thread !== undefined) return thread;
  if (made === MOST_WORKERS) return new Promise((resolve) => waiting.push(resolve));
  made++;
  return new HashThread();
}

function giveBack(thread: HashThread): void {
  const next = waiting.shift();
  if (next === undefined) idle.push(thread);
  else next(thread);
}

/** SHA-256 of bytes that come piece by piece. Whoever begins one ends it, by `digest` or by `abandon`. */
export interface RunningHash {
  /**
   * Has `read` fill some memory (it returns how many bytes it put there) and hashes them. The view it resolves to holds
   * them until the next call.
   */
  fill(read: (target: Uint8Array) => Promise<number> | number): Promise<Uint8Array>;
  /** Hashes the bytes: they may change once it resolves. */
  update(bytes: Uint8Array): Promise<void>;
  /** Hex, of all bytes so far; the hash is over. */
  digest(): Promise<string>;
  /** Ends a hash whose digest nobody wants. Does nothing when it is over. */
  abandon(): Promise<void>;
}

/**
 * A hash of about `bytes` bytes. Many are hashed on another thread, so that heartbeats, metrics and the next step do not
 * wait for gigabytes: threads are few and live as long as the process, so this may wait for one. Few are hashed here.
 */
export async function beginHash(bytes: number): Promise<RunningHash> {
  if (bytes <= SLOT_BYTES) return new HashHere(bytes);
  const thread = await take();
  thread.begin();
  return new HashElsewhere(thread);
}

/** SHA-256, hex, of pieces of about `bytes` bytes in all. */
export async function hashOf(pieces: Iterable<Uint8Array>, bytes: number): Promise<string> {
  const hash = await beginHash(bytes);
  try {
    for (const piece of pieces) await hash.update(piece);
    return await hash.digest();
  } finally {
    await hash.abandon();
  }
}

class HashHere implements RunningHash {
  readonly #hash = createHash('sha256');
  readonly #bytes: number;
  #memory: Uint8Array | null = null;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  async fill(read: (target: Uint8Array) => Promise<number> | number): Promise<Uint8Array> {
    this.#memory ??= new Uint8Array(Math.max(1, this.#bytes));
    const filled = this.#memory.subarray(0, await read(this.#memory));
    this.#hash.update(filled);
    return filled;
  }

  async update(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
  }

  async digest(): Promise<string> {
    return this.#hash.digest('hex');
  }

  async abandon(): Promise<void> {}
}

class HashElsewhere implements RunningHash {
  readonly #thread: HashThread;
  #over = false;

  constructor(thread: HashThread) {
    this.#thread = thread;
  }

  async fill(read: (target: Uint8Array) => Promise<number> | number): Promise<Uint8Array> {
    const slot = await this.#thread.slot();
    const target = this.#thread.slots[slot]!;
    const bytes = await read(target);
    this.#thread.send(slot, bytes);
    return target.subarray(0, bytes);
  }

  async update(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += SLOT_BYTES) {
      const part = bytes.subarray(at, at + SLOT_BYTES);
      await this.fill((target) => {
        target.set(part);
        return part.length;
      });
    }
  }

  async digest(): Promise<string> {
    this.#over = true;
    const digest = await this.#thread.end();
    giveBack(this.#thread);
    return digest;
  }

  async abandon(): Promise<void> {
    if (!this.#over) await this.digest();
  }
}
