import { decodeMessage } from '../../codec/protobuf.ts';
import type { OpTime } from '../engine.ts';

type Fields = ReadonlyMap<number, number | Uint8Array>;

const text = new TextDecoder();

const fields = (bytes: Uint8Array): Fields => new Map(decodeMessage(bytes));

/** Field `number` as a message; an absent one is empty. */
const message = (of: Fields, number: number): Uint8Array =>
  (of.get(number) as Uint8Array | undefined) ?? new Uint8Array();

const integer = (of: Fields, number: number): number => (of.get(number) as number | undefined) ?? 0;

/**
 * The ops of a run, in order of their start (config.proto, step_stats.proto, tensor_description.proto):
 *
 *     RunMetadata           { StepStats step_stats = 1 }
 *     StepStats             { repeated DeviceStepStats dev_stats = 1 }
 *     DeviceStepStats       { repeated NodeExecStats node_stats = 2 }
 *     NodeExecStats         { node_name = 1, repeated NodeOutput output = 7, timeline_label = 8 ("name = Type(inputs)"),
 *                             thread_id = 10, all_start_nanos = 13, op_start_rel_nanos = 14, op_end_rel_nanos = 15 }
 *     NodeOutput            { TensorDescription tensor_description = 3 }
 *     TensorDescription     { AllocationDescription allocation_description = 4 }
 *     AllocationDescription { requested_bytes = 1 }
 */
export function decodeOpTimes(metadata: Uint8Array): OpTime[] {
  const ops: OpTime[] = [];
  for (const [field, device] of decodeMessage(message(fields(metadata), 1))) {
    if (field !== 1) continue;
    for (const [of, node] of decodeMessage(device as Uint8Array))
      if (of === 2) ops.push(decodeNode(node as Uint8Array));
  }
  ops.sort((a, b) => a.start - b.start);
  const first = ops[0]?.start ?? 0;
  return ops.map((op) => ({ ...op, start: op.start - first }));
}

function decodeNode(bytes: Uint8Array): OpTime {
  const node = fields(bytes);
  let written = 0;
  for (const [field, result] of decodeMessage(bytes)) {
    if (field !== 7) continue;
    const allocation = fields(message(fields(message(fields(result as Uint8Array), 3)), 4));
    written += integer(allocation, 1);
  }
  const name = text.decode(message(node, 1));
  const label = text.decode(message(node, 8));
  return {
    name,
    type: / = ([^(]+)\(/.exec(label)?.[1] ?? label,
    start: (integer(node, 13) + integer(node, 14)) / 1e9,
    seconds: (integer(node, 15) - integer(node, 14)) / 1e9,
    bytes: written,
    thread: integer(node, 10),
  };
}
