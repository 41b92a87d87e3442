import type { StepJournal } from '../codec/records.ts';
import { compareStreams, type StreamName } from './segment-format.ts';
import type { SegmentWriter } from './segment-writer.ts';

const NONE = -1;

/**
 * Postings of some steps, in memory, grouped by record. Steps come in order, so each record's list is sorted as it grows,
 * and only the records' offsets have to be: as numbers, which the engine sorts fast.
 */
export class PostingBuffer {
  size = 0;
  readonly #streams = new Map<string, Map<number, { name: StreamName; records: Map<number, number> }>>();
  /** A record's first and last posting. */
  #heads = new Int32Array(1024);
  #tails = new Int32Array(1024);
  #records = 0;
  /** Of each posting: the next of its record. */
  #next = new Int32Array(4096);
  #steps = new Float64Array(4096);
  #indices = new Float64Array(4096);

  add({ step, topics, samples }: StepJournal): void {
    for (const { topic, partition, offset, index } of samples) {
      const { records } = this.#streamOf(topics[topic] ?? '', partition);
      const at = this.size++;
      if (at === this.#next.length) this.#growPostings();
      this.#next[at] = NONE;
      this.#steps[at] = step;
      this.#indices[at] = index;
      const record = records.get(offset);
      if (record === undefined) {
        if (this.#records === this.#heads.length) this.#growRecords();
        records.set(offset, this.#records);
        this.#heads[this.#records] = at;
        this.#tails[this.#records++] = at;
      } else {
        this.#next[this.#tails[record]!] = at;
        this.#tails[record] = at;
      }
    }
  }

  /** Sorted. */
  streams(): StreamName[] {
    return this.#named().map(({ name }) => name);
  }

  /** Writes all of them, in the order of the segment, their streams numbered as `streams` gives them. */
  async writeTo(writer: SegmentWriter): Promise<void> {
    for (const [stream, { records }] of this.#named().entries()) {
      for (const offset of Float64Array.from(records.keys()).sort()) {
        for (let at = this.#heads[records.get(offset)!]!; at !== NONE; at = this.#next[at]!)
          writer.addPosting(stream, offset, this.#steps[at]!, this.#indices[at]!);
        if (writer.due) await writer.flush();
      }
    }
  }

  #named() {
    return [...this.#streams.values()]
      .flatMap((partitions) => [...partitions.values()])
      .sort((a, b) => compareStreams(a.name, b.name));
  }

  #streamOf(topic: string, partition: number) {
    let partitions = this.#streams.get(topic);
    if (partitions === undefined) {
      partitions = new Map();
      this.#streams.set(topic, partitions);
    }
    let stream = partitions.get(partition);
    if (stream === undefined) {
      stream = { name: { topic, partition }, records: new Map() };
      partitions.set(partition, stream);
    }
    return stream;
  }

  #growPostings(): void {
    this.#next = grown(this.#next, Int32Array);
    this.#steps = grown(this.#steps, Float64Array);
    this.#indices = grown(this.#indices, Float64Array);
  }

  #growRecords(): void {
    this.#heads = grown(this.#heads, Int32Array);
    this.#tails = grown(this.#tails, Int32Array);
  }
}

function grown<T extends Int32Array | Float64Array>(array: T, Kind: new (length: number) => T): T {
  const larger = new Kind(array.length * 2);
  larger.set(array);
  return larger;
}
