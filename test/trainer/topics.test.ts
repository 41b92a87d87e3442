import { expect, test } from 'vitest';
import { checkPipeline } from '../../src/trainer/check-pipeline.ts';
import { topicsOf } from '../../src/trainer/pipeline.ts';
import { tinyPipeline } from './tiny-run.ts';

const checked = (topic: string | readonly string[]) => {
  const pipeline = tinyPipeline();
  return checkPipeline({ ...pipeline, source: { ...pipeline.source, topic } }, 'test').source;
};

test('one topic is stored as text, as runs of version 0.1 have it; several sorted, in whatever order they are named', () => {
  expect(checked('images').topic).toBe('images');
  expect(checked(['images']).topic).toBe('images');
  expect(checked(['b', 'a', 'c']).topic).toEqual(['a', 'b', 'c']);
  expect(topicsOf(checked('images'))).toEqual(['images']);
  expect(topicsOf({ topic: ['b', 'a'] })).toEqual(['a', 'b']);
});

test.each([
  ['no topic', [], 'names no topic'],
  ['a topic twice', ['a', 'b', 'a'], 'names a topic twice'],
  ['what is no name', ['a', 'b/c'], 'source.topic'],
])('%s is refused', (_, topic, message) => {
  expect(() => checked(topic)).toThrow(message);
});

test('a data set fills one topic only', () => {
  const pipeline = tinyPipeline();
  const source = { ...pipeline.source, topic: ['a', 'b'], ingest: 'digits' };
  expect(() => checkPipeline({ ...pipeline, source }, 'test')).toThrow('source.ingest: a data set fills one topic');
});
