import { randomBytes } from 'node:crypto';
import type { OnReadOpts } from 'node:net';
import { ReadMemory } from '../read-memory.ts';

/*
 * answer    = bytes:i32 correlationId:i32 body     bytes: from correlationId to the end of the body; big-endian
 * stand-in  = the same with a body of mark:8 number:u64
 *
 * kafkajs collects the pieces that a socket gives, 64 KB each, and copies them together once an answer is whole: for answers of
 * megabytes that costs more than to read them. Here such a body is read into memory of its own straight from the socket; kafkajs
 * is given a stand-in, finds the request that it answers, and the decoder of that request asks for the whole body by it.
 */

const PREFIX = 8;
const MARK = randomBytes(8);
const STAND_IN = MARK.byteLength + 8;
/** More than a piece, so that no answer begins and ends in one. */
const LARGE = 128 * 1024;
const PIECE = 64 * 1024;
/** No answer: what follows is garbage, which kafkajs may judge. */
const IMPOSSIBLE = 2 ** 30;
/** An answer that nobody asks for any more (its request ran out of time) is forgotten behind so many later ones. */
const KEPT = 4;

const kept = new Map<bigint, Buffer>();
let number = 0n;

/** The body that an answer's body stands for; itself, where it stands for none. To be asked for at once, and once. */
export function wholeAnswer(body: Buffer): Buffer {
  if (body.byteLength !== STAND_IN || !body.subarray(0, MARK.byteLength).equals(MARK)) return body;
  const at = body.readBigUInt64BE(MARK.byteLength);
  const whole = kept.get(at);
  if (whole === undefined) throw new Error('an answer was asked for too late');
  kept.delete(at);
  return whole;
}

function standIn(correlationId: number, body: Buffer): Buffer {
  kept.set(++number, body);
  kept.delete(number - BigInt(KEPT));
  const answer = Buffer.alloc(PREFIX + STAND_IN);
  answer.writeInt32BE(4 + STAND_IN, 0);
  answer.writeInt32BE(correlationId, 4);
  answer.set(MARK, PREFIX);
  answer.writeBigUInt64BE(number, PREFIX + MARK.byteLength);
  return answer;
}

/**
 * How a socket is to read (`net.connect`'s `onread`): `deliver` gets all that comes, with stand-ins for what is large. That lies in
 * `memory`, held for whoever asks for it.
 */
export function readingLargeAnswers(deliver: (data: Buffer) => void, memory = new ReadMemory()): OnReadOpts {
  const piece = Buffer.allocUnsafeSlow(PIECE);
  /** The large answer that is being read. */
  let large: { readonly correlationId: number; readonly body: Buffer; filled: number } | null = null;
  /** Bytes to come of a small one. */
  let small = 0;
  /** The beginning of a prefix. */
  let held = Buffer.alloc(0);

  const take = (bytes: Buffer): void => {
    let at = 0;
    while (at < bytes.byteLength && large === null) {
      const left = bytes.byteLength - at;
      if (small > 0) {
        const taken = Math.min(small, left);
        at += taken;
        small -= taken;
        continue;
      }
      const size = left < 4 ? 0 : bytes.readInt32BE(at);
      if (left < 4 || (size >= LARGE && left < PREFIX)) break;
      if (size < LARGE) small = size < 0 ? Number.POSITIVE_INFINITY : 4 + size;
      else if (size > IMPOSSIBLE) small = Number.POSITIVE_INFINITY;
      else {
        const body = memory.take(size - 4);
        large = { correlationId: bytes.readInt32BE(at + 4), body, filled: left - PREFIX };
        body.set(bytes.subarray(at + PREFIX));
        break;
      }
    }
    if (at > 0) deliver(Buffer.from(bytes.subarray(0, at)));
    held = large === null ? Buffer.from(bytes.subarray(at)) : Buffer.alloc(0);
  };

  return {
    buffer: () => large?.body.subarray(large.filled) ?? piece,
    callback(read, into) {
      if (large === null) {
        const bytes = Buffer.from(into.buffer, into.byteOffset, read);
        take(held.byteLength === 0 ? bytes : Buffer.concat([held, bytes]));
        return true;
      }
      large.filled += read;
      if (large.filled < large.body.byteLength) return true;
      const { correlationId, body } = large;
      large = null;
      deliver(standIn(correlationId, body));
      return true;
    },
  };
}
