import { describe, expect, test } from 'vitest';
import { canonicalForm, crc64Avro, fingerprint } from '../../src/codec/fingerprint.ts';

// Schema, canonical form, CRC-64-AVRO as a signed decimal: Apache Avro's share/test/data/schema-tests.txt.
const PUBLISHED: [schema: string, canonical: string, crc: bigint][] = [
  ['"null"', '"null"', 7195948357588979594n],
  ['{"type":"null"}', '"null"', 7195948357588979594n],
  ['"boolean"', '"boolean"', -6970731678124411036n],
  ['"int"', '"int"', 8247732601305521295n],
  ['"long"', '"long"', -3434872931120570953n],
  ['"float"', '"float"', 5583340709985441680n],
  ['"double"', '"double"', -8181574048448539266n],
  ['{"type":"bytes"}', '"bytes"', 5746618253357095269n],
  ['"string"', '"string"', -8142146995180207161n],
  ['[  ]', '[]', -1241056759729112623n],
  ['[ "int"  ]', '["int"]', -5232228896498058493n],
  ['[ "int" , {"type":"boolean"} ]', '["int","boolean"]', 5392556393470105090n],
  [
    '{"fields":[], "type":"record", "name":"foo", "namespace":"x.y"}',
    '{"name":"x.y.foo","type":"record","fields":[]}',
    5916914534497305771n,
  ],
  [
    '{"fields":[], "type":"record", "name":"a.b.foo", "namespace":"x.y"}',
    '{"name":"a.b.foo","type":"record","fields":[]}',
    -4616218487480524110n,
  ],
  [
    '{"fields":[], "type":"record", "name":"foo", "doc":"foo", "aliases":["foo","bar"]}',
    '{"name":"foo","type":"record","fields":[]}',
    -4824392279771201922n,
  ],
  [
    `{ "fields":[{"type":"boolean", "aliases":[], "name":"f1", "default":true},
                 {"order":"descending","name":"f2","doc":"Hello","type":"int"}], "type":"record", "name":"foo" }`,
    '{"name":"foo","type":"record","fields":[{"name":"f1","type":"boolean"},{"name":"f2","type":"int"}]}',
    -4860222112080293046n,
  ],
  [
    '{"namespace":"x.y.z", "type":"enum", "name":"foo", "doc":"foo bar", "symbols":["A1", "A2"]}',
    '{"name":"x.y.z.foo","type":"enum","symbols":["A1","A2"]}',
    -4448647247586288245n,
  ],
  [
    '{"namespace":"x.y.z", "type":"fixed", "name":"foo", "doc":"foo bar", "size":32}',
    '{"name":"x.y.z.foo","type":"fixed","size":32}',
    -3064184465700546786n,
  ],
  ['{ "items":{"type":"null"}, "type":"array"}', '{"type":"array","items":"null"}', -589620603366471059n],
  ['{ "values":"string", "type":"map"}', '{"type":"map","values":"string"}', -8732877298790414990n],
  [
    '{"name":"PigValue","type":"record", "fields":[{"name":"value", "type":["null", "int", "long", "PigValue"]}]}',
    '{"name":"PigValue","type":"record","fields":[{"name":"value","type":["null","int","long","PigValue"]}]}',
    -1759257747318642341n,
  ],
];

describe('schema fingerprints', () => {
  test.each(PUBLISHED)("%s has Avro's own canonical form and CRC-64-AVRO", (schema, canonical, crc) => {
    expect(canonicalForm(JSON.parse(schema))).toBe(canonical);
    expect(BigInt.asIntN(64, fingerprint(JSON.parse(schema)))).toBe(crc);
  });

  test('the CRC of no bytes is its initial value', () => {
    expect(crc64Avro(new Uint8Array())).toBe(0xc15d213aa4d7a795n);
  });

  test('names inherit the namespace of the record around them, and are written in full', () => {
    const inner = { type: 'record', name: 'In', fields: [{ name: 'again', type: ['null', 'Out'] }] };
    const schema = { type: 'record', name: 'Out', namespace: 'a.b', fields: [{ name: 'x', type: inner }] };
    expect(canonicalForm(schema)).toBe(
      '{"name":"a.b.Out","type":"record","fields":[{"name":"x","type":{"name":"a.b.In","type":"record",' +
        '"fields":[{"name":"again","type":["null","a.b.Out"]}]}}]}',
    );
  });

  test.each([
    ['a name that is not defined', '"Nowhere"'],
    ['a number', '7'],
    ['a record without fields', '{"type":"record","name":"A"}'],
  ])('%s is no schema', (_, schema) => {
    expect(() => canonicalForm(JSON.parse(schema))).toThrow();
  });
});
