import { expect, test } from 'vitest';
import { parseSince, spellSince } from '../../src/operators/since.ts';

test.each([
  ['0', '0'],
  ['0012', '12'],
  ['2026-11-01', '2026-11-01T00:00:00.000Z'],
  ['2026-11-01T09:30', '2026-11-01T09:30:00.000Z'], // UTC, wherever it is typed
  ['2026-11-01 09:30:15', '2026-11-01T09:30:15.000Z'],
  ['2026-11-01T09:30:15.5Z', '2026-11-01T09:30:15.500Z'],
  ['2026-11-01T09:30+01:00', '2026-11-01T08:30:00.000Z'],
])('%s means %s', (text, spelled) => {
  expect(spellSince(parseSince(text))).toBe(spelled);
  expect(parseSince(spelled)).toEqual(parseSince(text));
});

test.each(['', '-1', '1.5', '99999999999999999999', 'yesterday', '2026-13-01', '2026-11-01T25:00', '11/01/2026'])(
  '"%s" is refused',
  (text) => {
    expect(() => parseSince(text)).toThrow(expect.objectContaining({ code: 'USAGE', exitStatus: 2 }));
  },
);
