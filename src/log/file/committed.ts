import type { Chain, Entry, Span } from './chain.ts';

const NONE: readonly Span[] = [];

/** What the chain of one transactional id says is committed, kept up to date by `refresh`. */
export class Committed {
  readonly chain: Chain;
  /** The first free slot when last looked. */
  slot = 0;
  /** The last claim's epoch; 0 before the first. */
  epoch = 0;
  readonly #spans = new Map<string, Span[]>();
  #refreshing: Promise<void> | null = null;

  constructor(chain: Chain) {
    this.chain = chain;
  }

  /** Reads the entries that are new. Calls that overlap share the work. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#readNew().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  async #readNew(): Promise<void> {
    const first = this.slot === 0;
    for (const entry of await this.chain.readFrom(this.slot)) this.#apply(entry);
    if (first) await this.chain.checkNoGap(this.slot);
  }

  #apply(entry: Entry): void {
    this.slot += 1;
    this.epoch = entry.epoch;
    if (entry.kind === 'claim') return;
    for (const span of entry.spans) {
      const key = `${span.topic}/${span.partition}`;
      const spans = this.#spans.get(key);
      if (spans === undefined) this.#spans.set(key, [span]);
      else spans.push(span);
    }
  }

  /** Ascending by offset. */
  spansOf(topic: string, partition: number): readonly Span[] {
    return this.#spans.get(`${topic}/${partition}`) ?? NONE;
  }

  /** One past the last committed offset. */
  endOf(topic: string, partition: number): number {
    const last = this.spansOf(topic, partition).at(-1);
    return last === undefined ? 0 : last.base + last.count;
  }
}
