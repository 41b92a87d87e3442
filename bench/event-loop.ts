/** Looks whether the main thread is free: how long a timer of 1 ms was kept waiting, heartbeats and metrics with it. */
export class EventLoopWatch {
  #last = performance.now();
  #longest = 0;
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => this.#look(), 1);
    this.#timer.unref();
  }

  /** Seconds of the longest block since the last call. One that is under way counts. */
  take(): number {
    this.#look();
    const longest = this.#longest;
    this.#longest = 0;
    return longest / 1000;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    this.#longest = Math.max(this.#longest, now - this.#last - 1);
    this.#last = now;
  }
}
