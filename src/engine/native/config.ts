import { encodeMessage } from '../../codec/protobuf.ts';

/** RewriterConfig.MemOptType NO_MEM_OPT. */
const NO_MEMORY_OPTIMIZATION = 1;

/** More brought nothing on graphs of 2,000 to 3,000 operations; one took up to a quarter longer. */
const INTER_OP_THREADS = 2;

/**
 * How a session runs, as tensorflow/core/protobuf/config.proto and rewriter_config.proto have it. Chosen for speed
 * among what gives the same bits in every process, as measured:
 *
 *     ConfigProto    { intra_op_parallelism_threads = 2, inter_op_parallelism_threads = 5, graph_options = 10 }
 *     GraphOptions   { rewrite_options = 10 }
 *     RewriterConfig { memory_optimization = 4, meta_optimizer_timeout_ms = 20 }
 *
 * The memory optimizer is off: when a graph needs much memory it turns sums into additions in order of arrival, and
 * two compilations of one program then differ in the last bits. The optimizers have no time limit (-1): a slow
 * machine would otherwise run a half-optimized graph, whose bits differ too.
 */
export function sessionConfig(threads: number): Uint8Array {
  const rewriter = encodeMessage([
    [4, NO_MEMORY_OPTIMIZATION],
    [20, -1],
  ]);
  return encodeMessage([
    [2, threads],
    [5, INTER_OP_THREADS],
    [10, encodeMessage([[10, rewriter]])],
  ]);
}
