import * as tf from '@tensorflow/tfjs-core';
import { blame, callSite } from '../call-site.ts';

/** The part of tfjs's engine (engine.ts) that notes how a gradient is computed. */
interface Tape {
  addTapeNode(...args: unknown[]): void;
  readonly state: { readonly activeTape: { gradient?: (...dys: unknown[]) => unknown }[] };
}

/**
 * Which code made each operation of a graph. Strings, and no errors to ask later: an error holds the closures on its stack,
 * and through them the values that a program was compiled with.
 */
export class OpSites {
  readonly #sites = new Map<string, string>();
  #backward: string | null = null;

  note(operation: string): void {
    this.#sites.set(operation, this.#backward ?? callSite());
  }

  of(operation: string): string | undefined {
    return this.#sites.get(operation);
  }

  /** Of an operation in the graph that runs, whose optimizers made its name of others' (`a/b/Mul_17_fused`). */
  inName(name: string): string | undefined {
    for (const [part] of name.matchAll(/[A-Za-z0-9]+_\d+/g)) {
      const site = this.#sites.get(part);
      if (site !== undefined) return site;
    }
    return undefined;
  }

  /** The first operation that TensorFlow names in a message (`{{node MatMul_17}}`) and somebody's code made. */
  inMessage(message: string): string | undefined {
    for (const [, node] of message.matchAll(/\{\{node ([^}]+)\}\}/g)) {
      const site = this.#sites.get(node!);
      if (site !== undefined) return site;
    }
    return undefined;
  }

  /**
   * Calls synchronous `work`, in which operations are noted. tfjs computes gradients in its own code, where a stack shows
   * only who asked for them: each entry of its tape is made to remember whose gradient it is.
   */
  during<T>(work: () => T): T {
    const tape = tf.engine() as unknown as Tape;
    const add = tape.addTapeNode;
    const sites = this;
    tape.addTapeNode = function (...args) {
      add.apply(this, args);
      const node = this.state.activeTape.at(-1)!;
      const { gradient } = node;
      if (gradient === undefined) return;
      const of = sites.#backward ?? `the gradient of ${callSite()}`;
      node.gradient = (...dys) => sites.#inGradient(of, () => gradient(...dys));
    };
    try {
      return work();
    } finally {
      tape.addTapeNode = add;
    }
  }

  #inGradient<T>(of: string, work: () => T): T {
    const outer = this.#backward;
    this.#backward = of;
    try {
      return work();
    } catch (error) {
      blame(error, of);
      throw error;
    } finally {
      this.#backward = outer;
    }
  }
}
