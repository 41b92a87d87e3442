import { encodeMessage } from './protobuf.ts';

/**
 * tensorflow/core/protobuf/config.proto, ConfigProto { intra_op_parallelism_threads = 2,
 * inter_op_parallelism_threads = 5 }.
 *
 * Inter-op -1: a run's operations execute one after another on the thread that asked for it, each on all `threads`.
 * The order of operations is then always the same, and a graph of small operations saves the hand-overs between
 * threads.
 */
export const sessionConfig = (threads: number): Uint8Array =>
  encodeMessage([
    [2, threads],
    [5, -1],
  ]);
