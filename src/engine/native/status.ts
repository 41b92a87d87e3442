import type { CApi, Pointer } from './c-api.ts';

/** Owns one TF_Status: what TensorFlow says of the last call. Not for calls that overlap. */
export class Status implements Disposable {
  readonly pointer: Pointer;
  readonly #api: CApi;

  constructor(api: CApi) {
    this.#api = api;
    this.pointer = api.newStatus();
  }

  /** @throws Error with TensorFlow's message when the last call failed. */
  check(doing: string): void {
    if (this.#api.getCode(this.pointer) !== 0) throw new Error(`${doing}: ${this.#api.message(this.pointer)}`);
  }

  [Symbol.dispose](): void {
    this.#api.deleteStatus(this.pointer);
  }
}
