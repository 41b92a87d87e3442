import { DATA_TYPE, type Output } from './c-api.ts';
import { type Graph, output } from './graph.ts';

/**
 * bfloat16 in a graph whose tensors are all float32 to tfjs, which knows no other: a float32 output that was widened from a
 * bfloat16 one is remembered with it, and whoever can take the narrow one does. The widening is then asked for by nobody,
 * and TensorFlow leaves it out.
 */
export class Bfloat16 {
  readonly #graph: Graph;
  /** By the float32 output: the bfloat16 one of exactly the same value. */
  readonly #widened = new Map<string, Output>();
  /** By the float32 output: the one rounded from it. */
  readonly #rounded = new Map<string, Output>();

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /** The bfloat16 output that a float32 one has its value from, if there is one. */
  exactly(at: Output): Output | undefined {
    return this.#widened.get(keyOf(at));
  }

  /** Exactly, or rounded to the nearest. */
  narrow(at: Output): Output {
    const known = this.exactly(at) ?? this.#rounded.get(keyOf(at));
    if (known !== undefined) return known;
    const rounded = cast(this.#graph, at, DATA_TYPE.bfloat16);
    this.#rounded.set(keyOf(at), rounded);
    return rounded;
  }

  /** The float32 output of a bfloat16 one. */
  widen(narrow: Output): Output {
    const wide = cast(this.#graph, narrow, DATA_TYPE.float32);
    this.#widened.set(keyOf(wide), narrow);
    return wide;
  }

  /** A float32 output in another shape or order has the bfloat16 one in it. `how`: the output that says which. */
  moved(by: 'Reshape' | 'Transpose', from: Output, how: Output, to: Output): void {
    for (const known of [this.#widened, this.#rounded]) {
      const narrow = known.get(keyOf(from));
      if (narrow !== undefined) known.set(keyOf(to), output(this.#graph.add(by, [narrow, how])));
    }
  }
}

export function cast(graph: Graph, at: Output, type: number): Output {
  return output(graph.add('Cast', [at], { DstT: { type } }));
}

const keyOf = ({ oper, index }: Output): string => `${oper}:${index}`;
