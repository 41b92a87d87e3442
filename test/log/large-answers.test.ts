import type { OnReadOpts } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readingLargeAnswers, wholeAnswer } from '../../src/log/kafka/large-answers.ts';

interface Answer {
  readonly correlationId: number;
  readonly body: Buffer;
}

/** bytes:i32 correlationId:i32 body */
function encoded({ correlationId, body }: Answer): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeInt32BE(4 + body.byteLength, 0);
  prefix.writeInt32BE(correlationId, 4);
  return Buffer.concat([prefix, body]);
}

/** What a socket does with `onread`: it fills the buffer that it is given with what has come, as far as it has room. */
function arrive(bytes: Buffer, pieces: Iterator<number>, { buffer, callback }: OnReadOpts): void {
  for (let at = 0; at < bytes.byteLength; ) {
    const into = (buffer as () => Uint8Array)();
    const read = Math.min(into.byteLength, bytes.byteLength - at, 1 + pieces.next().value!);
    into.set(bytes.subarray(at, at + read));
    at += read;
    expect(callback(read, into)).toBe(true);
  }
}

/** As kafkajs takes a stream of answers apart. */
function answersIn(stream: Buffer): Answer[] {
  const found: Answer[] = [];
  for (let at = 0; at < stream.byteLength; at += 4 + stream.readInt32BE(at))
    found.push({
      correlationId: stream.readInt32BE(at + 4),
      body: stream.subarray(at + 8, at + 4 + stream.readInt32BE(at)),
    });
  return found;
}

const bodyOf = (size: number, seed: number): Buffer =>
  Buffer.from(Uint8Array.from({ length: size }, (_, i) => i * 7 + (i >> 8) + seed));

test('answers come out as they went in, whatever pieces they come in, and of large ones only stand-ins are delivered', () => {
  const sizes = fc.oneof(
    { weight: 5, arbitrary: fc.nat(300) },
    { weight: 1, arbitrary: fc.constantFrom(2 ** 17 - 5, 2 ** 17 - 4, 2 ** 17 - 3) }, // the largest small ones, the smallest large one
    { weight: 1, arbitrary: fc.integer({ min: 2 ** 17, max: 2 ** 19 }) },
  );
  const pieces = fc.oneof(fc.nat(20), fc.integer({ min: 0, max: 2 ** 18 }));
  fc.assert(
    fc.property(fc.array(sizes, { maxLength: 12 }), fc.infiniteStream(pieces), (of, cuts) => {
      const sent = of.map((size, i) => ({ correlationId: 1000 + i, body: bodyOf(size, i) }));
      const received: Answer[] = [];
      const delivered: Buffer[] = [];
      const onread = readingLargeAnswers((data) => {
        delivered.push(data);
        // kafkajs answers a request as soon as its answer is whole, and the decoder asks at once.
        const so = Buffer.concat(delivered);
        let whole = 0;
        while (so.byteLength - whole >= 4 && so.byteLength - whole >= 4 + so.readInt32BE(whole))
          whole += 4 + so.readInt32BE(whole);
        for (const { correlationId, body } of answersIn(so.subarray(0, whole)))
          received.push({ correlationId, body: wholeAnswer(body) });
        delivered.splice(0, delivered.length, so.subarray(whole));
      });
      arrive(Buffer.concat(sent.map(encoded)), cuts, onread);
      expect(received.map(({ correlationId }) => correlationId)).toEqual(
        sent.map(({ correlationId }) => correlationId),
      );
      for (const [i, { body }] of received.entries()) expect(body.equals(sent[i]!.body)).toBe(true);
      expect(delivered[0]?.byteLength ?? 0).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test('a large body has memory of its own; a stand-in is good once, and not behind four later ones', () => {
  const bodies: Buffer[] = [];
  const onread = readingLargeAnswers((data) => bodies.push(data.subarray(8)));
  const send = (answer: Answer) =>
    arrive(
      encoded(answer),
      (function* () {
        for (;;) yield 2 ** 20;
      })(),
      onread,
    );
  const large = { correlationId: 1, body: bodyOf(200_000, 1) };
  send(large);
  const whole = wholeAnswer(bodies[0]!);
  expect(whole.buffer.byteLength).toBe(large.body.byteLength);
  expect(() => wholeAnswer(bodies[0]!)).toThrow(/too late/);
  for (let i = 0; i < 6; i++) send(large);
  expect(() => wholeAnswer(bodies[2]!)).toThrow(/too late/);
  expect(wholeAnswer(bodies[6]!).equals(large.body)).toBe(true);
});

test('what is no answer is passed on as it came', () => {
  const seen: Buffer[] = [];
  const garbage = Buffer.concat([Buffer.from('ffffffff', 'hex'), bodyOf(500, 3)]);
  arrive(
    garbage,
    (function* () {
      for (;;) yield 99;
    })(),
    readingLargeAnswers((data) => seen.push(data)),
  );
  expect(Buffer.concat(seen).equals(garbage)).toBe(true);
});
