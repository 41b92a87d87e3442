import koffi from 'koffi';

/**
 * A session runs on the stack that FFI provides, and with inter-op parallelism off every kernel runs on it too: the
 * default of 128 KiB is far below the 8 MiB that TensorFlow expects of a thread. To be said before any library is loaded, the driver's too.
 */
const ASYNC_STACK_BYTES = 8 << 20;
koffi.config({ async_stack_size: ASYNC_STACK_BYTES });

export { koffi };
