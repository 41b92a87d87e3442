import { DATA_TYPE, type Output } from './c-api.ts';
import { type Graph, type Operation, output } from './graph.ts';

/** Rows that a step writes into a state, which else stays as it is. */
export interface WrittenRows {
  readonly read: Operation;
  /** (n, 1) int32 */
  readonly indices: Output;
  /** (n, ...) */
  readonly rows: Output;
}

/** Ops whose result may be the memory of their input. */
const VIEWS = new Set(['Reshape']);
/** Ops whose result never is, while a variable holds their input. All others are taken for ops that may keep it. */
const READERS = new Set(['MatMul', 'BatchMatMulV2', 'Mul', 'AddV2', 'Sub', 'Square', 'SquaredDifference']);

const same = (a: Output, b: Output): boolean => a.oper === b.oper && a.index === b.index;

export function isScatter(graph: Graph, value: Output): boolean {
  return producerOf(graph, value)?.type === 'TensorScatterUpdate';
}

/**
 * The rows, where `next`, the new value of the state that `read` reads, is the old one with rows of it overwritten, and nothing but
 * passing reads is made of either: then they can be written where they lie, and a queue of K rows costs a step its batch
 * and not a copy of K. Null where that is not so. To be asked once the graph has its outputs and its other assigns.
 */
export function rowsWritten(graph: Graph, next: Output, read: Operation): WrittenRows | null {
  if (!isScatter(graph, next)) return null;
  const scatter = producerOf(graph, next)!;
  const [into, indices, rows] = scatter.inputs as readonly [Output, Output, Output];
  const old = output(read);
  if (!same(into, old) || same(rows, old) || usersOf(graph, next).length > 0) return null;
  if (!isOnlyRead(graph, old, scatter)) return null;
  return { read, indices, rows };
}

/**
 * Writes them after everything else of the step, since anything may read the old ones. InplaceUpdate's result is its input's
 * own memory (tensorflow/core/kernels/inplace_ops.cc): the variable's.
 */
export function writeInPlace(graph: Graph, written: readonly WrittenRows[], after: readonly Operation[]): Operation[] {
  const flat = graph.constant(DATA_TYPE.int32, [1], Int32Array.of(-1));
  const vectors = written.map(({ indices }) => graph.add('Reshape', [indices, flat]));
  // Those of all are made before those of one are written.
  const made = written.map(({ rows }) => graph.add('Identity', [rows]));
  const all = [...after, ...vectors, ...made];
  return written.map(({ read, rows }, i) =>
    graph.add('InplaceUpdate', [output(read), output(vectors[i]!), rows], {}, all),
  );
}

/** No op but `except` may keep this memory. */
function isOnlyRead(graph: Graph, memory: Output, except: Operation | null): boolean {
  return usersOf(graph, memory).every(
    (user) =>
      user === except || READERS.has(user.type) || (VIEWS.has(user.type) && isOnlyRead(graph, output(user), null)),
  );
}

function producerOf(graph: Graph, value: Output): Operation | undefined {
  return graph.operations.find((operation) => operation.pointer === value.oper);
}

function usersOf(graph: Graph, value: Output): Operation[] {
  return graph.operations.filter((operation) => operation.inputs.some((input) => same(input, value)));
}
