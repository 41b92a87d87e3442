import { once } from 'node:events';
import { type AddressInfo, createServer, type OnReadOpts } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KafkaSockets } from '../../src/log/kafka/kafka-sockets.ts';
import { readingLargeAnswers, wholeAnswer } from '../../src/log/kafka/large-answers.ts';
import { ReadMemory } from '../../src/log/read-memory.ts';

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

/**
 * Takes a stream of answers apart as kafkajs does: each is given on as soon as it is whole, and its decoder asks for the body at
 * once. Returns what waits for more.
 */
function takingAnswers(take: (answer: Answer) => void): (data: Buffer) => Buffer {
  let rest: Buffer = Buffer.alloc(0);
  return (data) => {
    rest = Buffer.concat([rest, data]);
    while (rest.byteLength >= 4 && rest.byteLength >= 4 + rest.readInt32BE()) {
      const end = 4 + rest.readInt32BE();
      take({ correlationId: rest.readInt32BE(4), body: wholeAnswer(rest.subarray(8, end)) });
      rest = rest.subarray(end);
    }
    return rest;
  };
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
      let waiting = 0;
      const taking = takingAnswers((answer) => received.push(answer));
      const onread = readingLargeAnswers((data) => {
        waiting = taking(data).byteLength;
      });
      arrive(Buffer.concat(sent.map(encoded)), cuts, onread);
      expect(received.map(({ correlationId }) => correlationId)).toEqual(
        sent.map(({ correlationId }) => correlationId),
      );
      for (const [i, { body }] of received.entries()) expect(body.equals(sent[i]!.body)).toBe(true);
      expect(waiting).toBe(0);
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

test.each([
  ['ends', 'end'],
  ['breaks', 'error'],
] as const)(
  'a connection that %s in the middle of a large answer gives what came whole, and says so',
  async (how, event) => {
    const [small, large] = [bodyOf(40, 1), bodyOf(700_000, 2)];
    const whole = Buffer.concat([small, large, small].map((body, correlationId) => encoded({ correlationId, body })));
    const cut = encoded({ correlationId: 3, body: large }).subarray(0, 400_000);
    const server = createServer((connection) => {
      connection.write(Buffer.concat([whole, cut]), () => {
        if (how === 'ends') connection.end();
      });
      connection.on('data', () => connection.resetAndDestroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const sockets = new KafkaSockets(new ReadMemory());
    try {
      const { port } = server.address() as AddressInfo;
      const socket = sockets.factory({ host: '127.0.0.1', port, ssl: undefined as never, onConnect: () => {} });
      const bodies: Buffer[] = [];
      const told = new Promise<string>((resolve) => {
        for (const name of ['end', 'error']) socket.once(name, () => resolve(name));
      });
      const taking = takingAnswers(({ body }) => {
        bodies.push(body);
        if (bodies.length === 3 && how === 'breaks') socket.write('more');
      });
      socket.on('data', taking);
      expect(await told).toBe(event);
      expect(bodies.map((body, i) => body.equals([small, large, small][i]!))).toEqual([true, true, true]);
    } finally {
      sockets.destroy();
      server.close();
    }
  },
);
