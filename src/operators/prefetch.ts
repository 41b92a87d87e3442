import type { Observable } from 'rxjs';
import type { Gate } from './gate.ts';

/** The pull side of a push stream. */
export interface Prefetched<T> extends AsyncIterable<T> {
  /** The next value; null when the stream is complete or closed. Rejects with the stream's error, after the values before it. */
  next(): Promise<T | null>;
  /** Values ready now. */
  readonly ready: number;
  /** Unsubscribes; values not taken are dropped. */
  close(): void;
}

/**
 * Subscribes at once and keeps up to `depth` values ready, holding `room` shut while they wait. A source that minds the
 * gate never makes more.
 */
export function prefetch<T>(source: Observable<T>, depth: number, room: Gate): Prefetched<T> {
  let ready: T[] = [];
  let waiting: { resolve: (value: T | null) => void; reject: (error: unknown) => void }[] = [];
  let ended: { error: unknown } | 'complete' | null = null;
  let holding = false;

  const update = (): void => {
    const isFull = ready.length >= depth;
    if (isFull === holding) return;
    holding = isFull;
    if (isFull) room.hold();
    else room.release();
  };
  const end = (how: { error: unknown } | 'complete'): void => {
    ended = how;
    for (const { resolve, reject } of waiting) {
      if (how === 'complete') resolve(null);
      else reject(how.error);
    }
    waiting = [];
  };

  const subscription = source.subscribe({
    next(value) {
      const taker = waiting.shift();
      if (taker !== undefined) taker.resolve(value);
      else ready.push(value);
      update();
    },
    error: (error: unknown) => end({ error }),
    complete: () => end('complete'),
  });

  const next = async (): Promise<T | null> => {
    if (ready.length > 0) {
      const value = ready.shift()!;
      update();
      return value;
    }
    if (ended === 'complete') return null;
    if (ended !== null) throw ended.error;
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  };
  const close = (): void => {
    subscription.unsubscribe();
    ready = [];
    update();
    if (ended === null) end('complete');
  };
  return {
    next,
    close,
    get ready() {
      return ready.length;
    },
    async *[Symbol.asyncIterator]() {
      try {
        for (let value = await next(); value !== null; value = await next()) yield value;
      } finally {
        close();
      }
    },
  };
}
