import { encodeMessage } from '../../codec/protobuf.ts';
import { type CApi, OUTPUT_BYTES, type Output, type Pointer } from './c-api.ts';
import type { Graph, Operation } from './graph.ts';
import { Status } from './status.ts';

/** config.proto: RunOptions { trace_level = 1 }, TraceLevel FULL_TRACE. */
const FULL_TRACE = encodeMessage([[1, 3]]);

/** What one kind of run feeds, fetches and executes. Laid out once, for native code to read at every run. */
export class RunPlan {
  readonly feeds: Buffer;
  readonly fetches: Buffer;
  readonly targets: BigUint64Array;

  constructor(feeds: readonly Output[], fetches: readonly Output[], targets: readonly Operation[]) {
    this.feeds = layOut(feeds);
    this.fetches = layOut(fetches);
    this.targets = BigUint64Array.from(targets, (operation) => operation.pointer);
  }
}

/** TF_Output[]: struct { TF_Operation *oper; int index; }, little-endian. */
function layOut(outputs: readonly Output[]): Buffer {
  const buffer = Buffer.alloc(outputs.length * OUTPUT_BYTES);
  for (const [i, { oper, index }] of outputs.entries()) {
    buffer.writeBigUInt64LE(oper, i * OUTPUT_BYTES);
    buffer.writeInt32LE(index, i * OUTPUT_BYTES + 8);
  }
  return buffer;
}

/** Owns one TF_Session, and with it the variables of its graph. Its runs must not overlap. */
export class Session implements Disposable {
  readonly #api: CApi;
  readonly #pointer: Pointer;
  readonly #status: Status;

  constructor(graph: Graph, config: Uint8Array) {
    this.#api = graph.api;
    this.#status = new Status(graph.api);
    const options = this.#api.newSessionOptions();
    try {
      this.#api.setConfig(options, config, config.length, this.#status.pointer);
      this.#status.check('session options');
      this.#pointer = this.#api.newSession(graph.pointer, options, this.#status.pointer) as Pointer;
      this.#status.check('new session');
    } catch (error) {
      this.#status[Symbol.dispose]();
      throw error;
    } finally {
      this.#api.deleteSessionOptions(options);
    }
  }

  /**
   * One run, on another thread. `feed` stays the caller's; the tensors it resolves to are the caller's to delete.
   * @throws Error with TensorFlow's message, which names the operation.
   */
  run(plan: RunPlan, feed: readonly Pointer[]): Promise<Pointer[]> {
    return this.#run(plan, feed, null, null);
  }

  /** One run as above that also notes what each op did, and when: `metadata` is a RunMetadata (config.proto), encoded. */
  async runProfiled(plan: RunPlan, feed: readonly Pointer[]): Promise<{ fetched: Pointer[]; metadata: Uint8Array }> {
    const options = this.#api.newBufferFromString(FULL_TRACE, FULL_TRACE.length);
    const metadata = this.#api.newBuffer();
    try {
      const fetched = await this.#run(plan, feed, options, metadata);
      return { fetched, metadata: this.#api.bufferBytes(metadata) };
    } finally {
      this.#api.deleteBuffer(options);
      this.#api.deleteBuffer(metadata);
    }
  }

  async #run(
    plan: RunPlan,
    feed: readonly Pointer[],
    options: Pointer | null,
    metadata: Pointer | null,
  ): Promise<Pointer[]> {
    const inputs = BigUint64Array.from(feed);
    const results = new BigUint64Array(plan.fetches.length / OUTPUT_BYTES);
    await new Promise<void>((resolve, reject) => {
      this.#api.sessionRun.async(
        this.#pointer,
        options,
        this.#api.address(plan.feeds),
        this.#api.address(inputs),
        inputs.length,
        this.#api.address(plan.fetches),
        this.#api.address(results),
        results.length,
        this.#api.address(plan.targets),
        plan.targets.length,
        metadata,
        this.#status.pointer,
        (error: unknown) => (error ? reject(error) : resolve()),
      );
    });
    this.#status.check('run');
    // Held until here: native code read and wrote them while the garbage collector could not know.
    return inputs.length >= 0 ? Array.from(results) : [];
  }

  /** "CPU", "GPU", ...: one of each device that its runs may use. */
  deviceTypes(): string[] {
    const list = this.#api.sessionListDevices(this.#pointer, this.#status.pointer);
    this.#status.check('devices');
    try {
      const count = this.#api.deviceListCount(list!);
      return Array.from({ length: count }, (_, i) => this.#api.deviceListType(list!, i, this.#status.pointer));
    } finally {
      this.#api.deleteDeviceList(list!);
    }
  }

  [Symbol.dispose](): void {
    this.#api.closeSession(this.#pointer, this.#status.pointer);
    this.#api.deleteSession(this.#pointer, this.#status.pointer);
    this.#status[Symbol.dispose]();
  }
}
