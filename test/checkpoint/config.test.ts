import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, configDigest } from '../../src/checkpoint/canonical-json.ts';
import { differingSettings } from '../../src/checkpoint/config-difference.ts';

test('canonical JSON is the one of RFC 8785', () => {
  const value = {
    peach: 1e30,
    Ö: [4.5, 2e-3, 1e-27, -0, 333333333.3333333],
    '\u20ac': '"\\\u000f\n',
    a: { b: null, a: true },
  };
  expect(canonicalJson(value)).toBe(
    '{"a":{"a":true,"b":null},"peach":1e+30,"Ö":[4.5,0.002,1e-27,0,333333333.3333333],"€":"\\"\\\\\\u000f\\n"}',
  );
});

test('equal settings have one digest, however they were written', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value);
      expect(canonicalJson(JSON.parse(text))).toBe(text);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
  expect(configDigest({ a: 1, b: 2, c: undefined })).toBe(configDigest({ b: 2, a: 1 }));
  expect(configDigest({ a: 1 })).not.toBe(configDigest({ a: 2 }));
});

test('a setting that JSON cannot hold is named by its path', () => {
  expect(() => canonicalJson({ a: [{ b: Number.NaN }] })).toThrow(/the setting a\[0\]\.b is NaN/);
  expect(() => canonicalJson({ f: () => 1 })).toThrow(/the setting f /);
});

test('differences are named by path, in order', () => {
  const committed = { model: { depth: 4, input: [28, 28, 1] }, losses: { repulsion: { queue: 8 } }, steps: 5 };
  const wanted = { model: { depth: 6, input: [28, 28, 3] }, losses: { repulsion: null }, steps: 9 };
  expect(differingSettings(committed, wanted, [])).toEqual([
    { path: 'losses.repulsion', committed: 'absent', wanted: 'null' },
    { path: 'losses.repulsion.queue', committed: '8', wanted: 'absent' },
    { path: 'model.depth', committed: '4', wanted: '6' },
    { path: 'model.input[2]', committed: '1', wanted: '3' },
    { path: 'steps', committed: '5', wanted: '9' },
  ]);
});

test('a free setting frees what lies below it, and no other that begins alike', () => {
  const a = { commit: { every: 1, deep: [1] }, commits: 1, source: { topics: ['a'] } };
  const b = { commit: { every: 2, deep: [2, 3] }, commits: 2, source: { topics: ['b'] } };
  expect(differingSettings(a, b, ['commit', 'source.topics']).map(({ path }) => path)).toEqual(['commits']);
});
