import fc from 'fast-check';
import { concatMap, from, lastValueFrom, Subject, toArray } from 'rxjs';
import { expect, test } from 'vitest';
import { inOrder } from '../../src/operators/in-order.ts';

interface Plan {
  /** Turns of the microtask queue until the result is there; 0 where it is there at once. */
  readonly late: number;
  readonly fails: boolean;
}

const plans = fc.array(
  fc.record({ late: fc.nat(3), fails: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.constant(true)) }),
  { maxLength: 12 },
);

function result(at: number, { late, fails }: Plan): number | Promise<number> {
  const now = (): number => {
    if (fails) throw new Error(`no ${at}`);
    return at;
  };
  if (late === 0) return now();
  let waiting: Promise<unknown> = Promise.resolve();
  for (let turn = 0; turn < late; turn++) waiting = waiting.then(() => {});
  return waiting.then(now);
}

test('gives what concatMap gives, errors too, whatever is late', async () => {
  await fc.assert(
    fc.asyncProperty(plans, async (of) => {
      const outcome = async (ours: boolean) => {
        const seen: number[] = [];
        const project = (at: number) => result(at, of[at]!);
        const results = from(of.keys()).pipe(ours ? inOrder(project) : concatMap(async (at) => project(at)));
        const error = await new Promise((resolve) =>
          results.subscribe({
            next: (at) => seen.push(at),
            error: (e: Error) => resolve(e.message),
            complete: () => resolve(null),
          }),
        );
        return { seen, error };
      };
      expect(await outcome(true)).toEqual(await outcome(false));
    }),
    { numRuns: 300 },
  );
});

test('what is there is passed on in the same call, and `passed` comes right behind it', async () => {
  const source = new Subject<number>();
  const events: string[] = [];
  const done = lastValueFrom(
    source.pipe(
      inOrder(
        (value) => (value === 2 ? Promise.resolve(value) : value),
        (value) => events.push(`passed ${value}`),
      ),
      toArray(),
    ),
  );
  source.next(1);
  expect(events).toEqual(['passed 1']);
  source.next(2);
  source.next(3);
  expect(events).toEqual(['passed 1']);
  source.complete();
  expect(await done).toEqual([1, 2, 3]);
  expect(events).toEqual(['passed 1', 'passed 2', 'passed 3']);
});
