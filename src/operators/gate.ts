/**
 * The brake of a push stream: who makes values asks it before making the next one; who has no room holds it shut.
 * Open while nobody holds it. RxJS pushes and cannot say "not now" by itself.
 */
export class Gate {
  #holds = 0;
  #waiting: (() => void)[] = [];

  get isOpen(): boolean {
    return this.#holds === 0;
  }

  /** Each hold is ended by one `release`. */
  hold(): void {
    this.#holds++;
  }

  release(): void {
    if (this.#holds === 0) throw new Error('a gate was released more often than held');
    this.#holds--;
    if (this.#holds > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }

  /** Resolves when the gate is open, or when `signal` aborts: the caller looks at its signal next. */
  async whenOpen(signal: AbortSignal): Promise<void> {
    while (!this.isOpen && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const resume = () => {
          signal.removeEventListener('abort', resume);
          resolve();
        };
        signal.addEventListener('abort', resume);
        this.#waiting.push(resume);
      });
    }
  }
}
