/**
 * Protocol Buffers' wire format, as far as TensorFlow's C API and ONNX files need it.
 *
 *     message = { tag value }            tag = varint(field number << 3 | wire type)
 *     wire type 0: varint                little groups of 7 bits, the top bit says that more follow
 *     wire type 1: 8 bytes, 5: 4 bytes   little-endian
 *     wire type 2: varint(length) bytes  a string, bytes or an embedded message
 *
 * A negative int32 is sent as the varint of its 64-bit two's complement.
 */

import { joined } from './joined.ts';

function* varint(value: number): Generator<number> {
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 0x7fn) {
    yield Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  yield Number(rest);
}

export type FieldValue = number | boolean | Uint8Array;

/** Encodes fields, given as [number, value]: numbers and booleans as varints, bytes as embedded messages. */
export function encodeMessage(fields: readonly (readonly [number, FieldValue])[]): Uint8Array {
  const parts = fields.flatMap(([number, value]) =>
    value instanceof Uint8Array
      ? [Uint8Array.from([...varint((number << 3) | 2), ...varint(value.length)]), value]
      : [Uint8Array.from([...varint(number << 3), ...varint(Number(value))])],
  );
  return joined(Uint8Array, parts);
}

/** Decodes a message's fields in order: varints as numbers, everything else as bytes. */
export function* decodeMessage(bytes: Uint8Array): Generator<readonly [number, number | Uint8Array]> {
  let at = 0;
  const readVarint = (): number => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw new RangeError('a protocol buffer message ends in the middle of a varint');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
  };
  while (at < bytes.length) {
    const tag = readVarint();
    const wireType = tag & 7;
    if (wireType === 0) {
      yield [tag >>> 3, readVarint()];
      continue;
    }
    const length = wireType === 2 ? readVarint() : wireType === 1 ? 8 : wireType === 5 ? 4 : Number.NaN;
    if (!(at + length <= bytes.length))
      throw new RangeError(`a protocol buffer message is cut off or has wire type ${wireType}`);
    yield [tag >>> 3, bytes.subarray(at, at + length)];
    at += length;
  }
}
