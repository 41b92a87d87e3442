import { expect, test } from 'vitest';
import { inTurns } from '../../src/ingest/in-turns.ts';
import type { ImageSource } from '../../src/ingest/source.ts';

/** Images of labels 0, 1, 2, 0, 1, 2, ..., one that cannot be read, and one without a label. */
const source: ImageSource = {
  id: 'test',
  classes: ['a', 'b', 'c'],
  total: 11,
  async *images() {
    for (let i = 0; i < 9; i++) {
      if (i === 4) yield { name: 'torn', unreadable: 'it is torn' };
      yield { shape: [1, 1, 1], encoding: 'RAW_U8', bytes: Uint8Array.of(i), label: i % 3, name: `${i}` };
    }
    yield { shape: [1, 1, 1], encoding: 'RAW_U8', bytes: Uint8Array.of(9), label: null, name: 'unlabelled' };
  },
};

async function namesOf(of: ImageSource): Promise<string[]> {
  const names: string[] = [];
  for await (const image of of.images()) names.push(image.name);
  return names;
}

test('classes come turn by turn, each image once, in the order of the source', async () => {
  expect(await namesOf(inTurns(source, { turns: [[2], [0, 1]], perTurn: null }))).toEqual([
    ...['torn', '2', '5', '8'],
    ...['0', '1', '3', '4', '6', '7'],
  ]);
});

test('a turn of a set length is cut there, or begins anew', async () => {
  const turns = inTurns(source, { turns: [[2], [0, 1]], perTurn: 4 });
  expect(turns.total).toBe(8);
  expect(await namesOf(turns)).toEqual(['torn', '2', '5', '8', '2', '0', '1', '3', '4']);
});

test('a turn without an image is refused by its labels', async () => {
  await expect(namesOf(inTurns(source, { turns: [[0], [7, 8]], perTurn: 2 }))).rejects.toMatchObject({
    code: 'USAGE',
    message: 'no image of test has the label 7 or 8',
  });
});
