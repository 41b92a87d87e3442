import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage } from '../../src/codec/protobuf.ts';
import { decodeOpDef } from '../../src/engine/native/op-def.ts';

describe('protocol buffers', () => {
  it('has the bytes of the documentation: field 1 = 150, field 2 = "testing", field 3 = { 1: 150 }', () => {
    const inner = encodeMessage([[1, 150]]);
    expect(Buffer.from(inner).toString('hex')).toBe('089601');
    expect(Buffer.from(encodeMessage([[2, Buffer.from('testing')]])).toString('hex')).toBe('120774657374696e67');
    expect(Buffer.from(encodeMessage([[3, inner]])).toString('hex')).toBe('1a03089601');
    expect(Buffer.from(encodeMessage([[1, -1]])).toString('hex')).toBe('08ffffffffffffffffff01');
  });

  it('decodes what it encodes', () => {
    const value = fc.oneof(fc.maxSafeInteger(), fc.uint8Array({ maxLength: 300 }));
    const fields = fc.array(fc.tuple(fc.integer({ min: 1, max: 2 ** 20 }), value), { maxLength: 20 });
    fc.assert(
      fc.property(fields, (given) => {
        expect([...decodeMessage(encodeMessage(given))]).toEqual(given);
      }),
    );
  });

  it('refuses bytes that end too early', () => {
    const whole = encodeMessage([
      [1, 300],
      [2, new Uint8Array(5)],
    ]);
    for (let length = 1; length < whole.length; length++) {
      if (length === 3) continue; // The end of the first field is the end of a message, too.
      expect(() => [...decodeMessage(whole.subarray(0, length))]).toThrow(RangeError);
    }
  });

  it('reads which inputs of an op are lists', () => {
    const name = (text: string): [number, Uint8Array] => [1, Buffer.from(text)];
    const op = encodeMessage([
      name('ConcatV2'),
      [2, encodeMessage([name('values'), [5, Buffer.from('N')]])],
      [2, encodeMessage([name('axis')])],
      [4, encodeMessage([name('N')])],
      [4, encodeMessage([name('T')])],
    ]);
    expect(decodeOpDef(op)).toEqual({
      inputs: [
        { name: 'values', countedBy: 'N', list: true },
        { name: 'axis', list: false },
      ],
      attributes: new Set(['N', 'T']),
      hasHiddenState: false,
    });
  });

  it('reads whether an op has a state that it is not given', () => {
    const stateful: [number, number] = [17, 1];
    const input = (type: number): [number, Uint8Array] => [2, encodeMessage([[3, type]])];
    const [float, resource] = [1, 20];
    for (const [fields, hidden] of [
      [[input(float)], false],
      [[input(float), stateful], true],
      [[input(resource), input(float), stateful], false],
    ] as const)
      expect(decodeOpDef(encodeMessage([...fields])).hasHiddenState).toBe(hidden);
  });
});
