import { DATA_TYPE, type Output } from './c-api.ts';
import { type Graph, output } from './graph.ts';

/**
 * How the products of a graph have operands of bfloat16, while every tensor is float32 to tfjs, which knows no bfloat16.
 * Who makes a value that only products read (`forProducts` in src/engine/fused.ts) gives it in the form that they take.
 */
export interface Bfloat16 {
  /** What a function may be given instead of a float32 output: a bfloat16 one of exactly its value, if there is one. */
  exactly(at: Output): Output | undefined;
  /** A product's operand, rounded to the nearest bfloat16 unless it is one already. */
  operand(at: Output, shape: readonly number[]): Output;
  /** The float32 output of a product of such operands. */
  result(at: Output): Output;
  /** In a function's body: a float32 value as products take it. */
  write(body: Graph, value: Output): Output;
  /** The float32 output of what `write` gave, outside of the function. */
  written(at: Output): Output;
  /** Told of every output that is another one in another shape or order. `how`: the output that says which. */
  moved(by: 'Reshape' | 'Transpose', from: Output, how: Output, to: Output): void;
}

const keyOf = ({ oper, index }: Output): string => `${oper}:${index}`;

export function cast(graph: Graph, at: Output, type: number): Output {
  return output(graph.add('Cast', [at], { DstT: { type } }));
}

/**
 * Products of bfloat16 by the hardware, their results rounded to it too. A float32 output that was widened from a bfloat16 one is
 * remembered with it, and whoever can take the narrow one does. The widening is then asked for by nobody, and TensorFlow leaves it out.
 */
export class NarrowOperands implements Bfloat16 {
  readonly #graph: Graph;
  /** By the float32 output: the bfloat16 one of exactly the same value. */
  readonly #widened = new Map<string, Output>();
  /** By the float32 output: the one rounded from it. */
  readonly #rounded = new Map<string, Output>();

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  exactly(at: Output): Output | undefined {
    return this.#widened.get(keyOf(at));
  }

  operand(at: Output): Output {
    const known = this.exactly(at) ?? this.#rounded.get(keyOf(at));
    if (known !== undefined) return known;
    const rounded = cast(this.#graph, at, DATA_TYPE.bfloat16);
    this.#rounded.set(keyOf(at), rounded);
    return rounded;
  }

  result(narrow: Output): Output {
    const wide = cast(this.#graph, narrow, DATA_TYPE.float32);
    this.#widened.set(keyOf(wide), narrow);
    return wide;
  }

  write(body: Graph, value: Output): Output {
    return cast(body, value, DATA_TYPE.bfloat16);
  }

  written(narrow: Output): Output {
    return this.result(narrow);
  }

  moved(by: 'Reshape' | 'Transpose', from: Output, how: Output, to: Output): void {
    for (const known of [this.#widened, this.#rounded]) {
      const narrow = known.get(keyOf(from));
      if (narrow !== undefined) known.set(keyOf(to), output(this.#graph.add(by, [narrow, how])));
    }
  }
}

/** Of fewer elements two casts round as fast as a compiled function, which takes the compiler a tenth of a second. */
const COMPILED_ELEMENTS = 32_768;

/**
 * The same operands where the hardware multiplies float32 faster: rounded to bfloat16, kept as float32, and multiplied by float32's
 * products. These have every digit of a product of two bfloat16 values; sums are float32's, and so are results, which nothing rounds.
 */
export class RoundedOperands implements Bfloat16 {
  readonly #graph: Graph;
  /** By the float32 output: the one rounded from it, itself where it has nothing to round. */
  readonly #rounded = new Map<string, Output>();

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  exactly(): undefined {
    return undefined;
  }

  operand(at: Output, shape: readonly number[]): Output {
    const known = this.#rounded.get(keyOf(at));
    if (known !== undefined) return known;
    const rounded = this.#round(at, shape);
    this.#rounded.set(keyOf(at), rounded);
    return rounded;
  }

  result(at: Output): Output {
    return at;
  }

  /** Not by two casts: the compiler takes a value that was narrowed and widened for the value itself. */
  write(body: Graph, value: Output): Output {
    return output(body.add('XlaReducePrecision', [value], { exponent_bits: { int: 8 }, mantissa_bits: { int: 7 } }));
  }

  written(at: Output): Output {
    this.#rounded.set(keyOf(at), at);
    return at;
  }

  moved(by: 'Reshape' | 'Transpose', from: Output, how: Output, to: Output): void {
    const known = this.#rounded.get(keyOf(from));
    if (known === undefined) return;
    const itself = keyOf(known) === keyOf(from);
    this.#rounded.set(keyOf(to), itself ? to : output(this.#graph.add(by, [known, how])));
  }

  #round(at: Output, shape: readonly number[]): Output {
    const graph = this.#graph;
    if (graph.isBody) return this.write(graph, at);
    if (shape.reduce((product, size) => product * size, 1) < COMPILED_ELEMENTS)
      return cast(graph, cast(graph, at, DATA_TYPE.bfloat16), DATA_TYPE.float32);
    const specs = [{ shape: [...shape], type: DATA_TYPE.float32 }];
    const round = graph.function(`round ${JSON.stringify(shape)}`, specs, (body, [value]) => [
      this.write(body, value!),
    ]);
    return output(graph.call(round, [at], [DATA_TYPE.float32]));
  }
}
