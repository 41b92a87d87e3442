import type { ProductAttributes } from '../product.ts';
import { DATA_TYPE, type Output } from './c-api.ts';
import { type Graph, type Operation, output } from './graph.ts';

/** One operand: (m, k), or a batch of such. */
export interface Operand {
  readonly at: Output;
  readonly shape: readonly number[];
}

/** Below it the transposition by itself costs what the better orientation gives. */
const LARGE_RESULT = 2 ** 16;

/**
 * The ops of a b in TensorFlow, for operands of one type. One product goes to MatMul, which takes half the time of a
 * batch of one, and adds a bias (float32 only) while it writes the result.
 */
export function addProduct(
  graph: Graph,
  a: Operand,
  b: Operand,
  { transposeA, transposeB }: ProductAttributes,
  bias?: Output,
): Operation {
  const operands = [a.at, b.at];
  if (a.shape.length > 2)
    return graph.add('BatchMatMulV2', operands, { adj_x: { bool: transposeA }, adj_y: { bool: transposeB } });
  if (bias !== undefined)
    return graph.add('_FusedMatMul', [...operands, bias], {
      transpose_a: { bool: transposeA },
      transpose_b: { bool: transposeB },
      num_args: { int: 1 },
      fused_ops: { strings: ['BiasAdd'] },
    });
  const [rows, columns] = [a.shape[1]!, b.shape[1]!];
  if (!graph.isBody && transposeA && !transposeB && columns < rows && rows * columns >= LARGE_RESULT) {
    // A weight's gradient, a sum over all tokens. oneDNN is up to a fifth slower where the result has more rows than columns:
    // the other way round, and then turned.
    const turned = graph.add('MatMul', operands.toReversed(), { transpose_a: { bool: true } });
    const order = graph.constant(DATA_TYPE.int32, [2], Int32Array.of(1, 0));
    return graph.add('Transpose', [output(turned), order]);
  }
  return graph.add('MatMul', operands, { transpose_a: { bool: transposeA }, transpose_b: { bool: transposeB } });
}
