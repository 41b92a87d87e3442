import { InvalidArgumentError, Option } from 'commander';
import { ENGINE_WISHES } from '../engine/engine.ts';

/** A whole number of at least `min`. */
export function wholeNumber(min: number) {
  return (text: string): number => {
    // Number('') is 0: an empty shell variable must not be a step.
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!Number.isSafeInteger(value) || value < min)
      throw new InvalidArgumentError(`It must be a whole number of at least ${min}.`);
    return value;
  };
}

export function finiteNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}

export function positive(text: string): number {
  const value = finiteNumber(text);
  if (value <= 0) throw new InvalidArgumentError('It must be above 0.');
  return value;
}

export function nonNegative(text: string): number {
  const value = finiteNumber(text);
  if (value < 0) throw new InvalidArgumentError('It must not be below 0.');
  return value;
}

/** For an option that may be given more than once. */
export const collect = (value: string, all: readonly string[] = []): string[] => [...all, value];

/** `0-9`, `3,1,4` or both: the classes wanted. */
export function labelList(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    if (match === null) throw new InvalidArgumentError('Give classes such as 0-9 or 3,1,4.');
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (last < first || last - first > 100_000) throw new InvalidArgumentError(`${part} is no range.`);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** `0-1,2-3,7`: the classes of each turn. */
export const turnList = (text: string): number[][] => text.split(',').map(labelList);

/** `28x28`: height and width. */
export function imageSize(text: string): [number, number] {
  const match = /^(\d+)x(\d+)$/.exec(text);
  if (match === null || Number(match[1]) < 1 || Number(match[2]) < 1)
    throw new InvalidArgumentError('Give height x width, such as 32x32.');
  return [Number(match[1]), Number(match[2])];
}

export function engineOption(): Option {
  return new Option('--engine <name>', 'auto takes the best there is, and says which; a named one is that or an error')
    .choices(ENGINE_WISHES)
    .default('auto');
}

/** `digits/0/17` or `digits/0/17/3`: a record, or one image of it. The name of a topic has no slash. */
export function recordPlace(text: string): { topic: string; partition: number; offset: number; index?: number } {
  const match = /^([^/]+)\/(\d+)\/(\d+)(?:\/(\d+))?$/.exec(text);
  const [partition, offset, index] = (match?.slice(2) ?? []).map((digits) =>
    digits === undefined ? undefined : Number(digits),
  );
  const exact = [partition, offset, index ?? 0].every(Number.isSafeInteger);
  if (match === null || partition === undefined || offset === undefined || !exact)
    throw new InvalidArgumentError('Give TOPIC/PARTITION/OFFSET or TOPIC/PARTITION/OFFSET/INDEX, such as digits/0/17.');
  return { topic: match[1]!, partition, offset, ...(index !== undefined && { index }) };
}
