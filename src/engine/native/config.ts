import { encodeMessage } from '../../codec/protobuf.ts';
import type { Precision } from '../product.ts';

/** RewriterConfig.MemOptType NO_MEM_OPT. */
const NO_MEMORY_OPTIMIZATION = 1;

/** More than there are lanes brought nothing on graphs of 2,000 to 3,000 operations; one took up to a quarter longer. */
const INTER_OP_THREADS = 2;

/**
 * Ops run one after the other, on the thread that runs the session (each still on all threads of its own): with bfloat16
 * two that run beside each other gave other last bits from run to run.
 */
const NO_INTER_OP_THREADS = -1;

/** Where a session runs. */
export type NativeDevice = 'cpu' | 'gpu';

/**
 * How a session runs, as tensorflow/core/protobuf/config.proto and rewriter_config.proto have it. Chosen for speed
 * among what gives the same bits in every process, as measured:
 *
 *     ConfigProto    { device_count = 1, intra_op_parallelism_threads = 2, inter_op_parallelism_threads = 5,
 *                      gpu_options = 6, graph_options = 10 }
 *     device_count   { key = 1, value = 2 }, an entry of a map
 *     GPUOptions     { allow_growth = 4, visible_device_list = 5 }
 *     GraphOptions   { rewrite_options = 10 }
 *     RewriterConfig { memory_optimization = 4, meta_optimizer_timeout_ms = 20 }
 *
 * The memory optimizer is off: when a graph needs much memory it turns sums into additions in order of arrival, and
 * two compilations of one program then differ in the last bits. The optimizers have no time limit (-1): a slow
 * machine would otherwise run a half-optimized graph, whose bits differ too.
 *
 * Each lane has a thread that begins its ops. Where there are no more threads than lanes, an op runs on that one alone: oneDNN gives
 * small products one thread in any case, and handing the rest out in pieces cost more than it brought (a step of the digits' model
 * took 48 ms of CPU time with two threads an op, and 34 with one an op and two lanes). Where there are more, an op has them
 * all: all lanes' products share one pool, and who begins one only waits for it (TensorFlow's OneDnnThreadPool), so that a pool of a
 * lane's share would leave the other cores without work.
 *
 * A GPU's memory is taken as it is needed, not all at the start, for the machine may have other users of it. One GPU is
 * used, the first that CUDA_VISIBLE_DEVICES leaves: a step runs on one, and the others would only be taken from their users.
 */
export function sessionConfig(
  { threads, lanes = 1 }: { readonly threads: number; readonly lanes?: number },
  device: NativeDevice = 'cpu',
  precision: Precision = 'fp32',
): Uint8Array {
  const text = (value: string) => new TextEncoder().encode(value);
  const rewriter = encodeMessage([
    [4, NO_MEMORY_OPTIMIZATION],
    [20, -1],
  ]);
  const gpuOptions = encodeMessage([
    [4, true],
    [5, text('0')],
  ]);
  // Without it the CUDA build would put on a GPU whatever it can.
  const noGpu = encodeMessage([
    [1, text('GPU')],
    [2, 0],
  ]);
  return encodeMessage([
    device === 'gpu' ? [6, gpuOptions] : [1, noGpu],
    [2, threads > lanes ? threads : 1],
    [5, precision === 'bf16' ? NO_INTER_OP_THREADS : Math.max(INTER_OP_THREADS, lanes)],
    [10, encodeMessage([[10, rewriter]])],
  ]);
}
