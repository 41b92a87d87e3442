import { Observable, of, Subject, throwError } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { Gate } from '../../src/operators/gate.ts';
import { prefetch } from '../../src/operators/prefetch.ts';

describe('prefetch', () => {
  test('holds the gate shut while as many values wait as it may keep', async () => {
    const source = new Subject<number>();
    const room = new Gate();
    const ahead = prefetch(source, 2, room);
    source.next(1);
    expect(room.isOpen).toBe(true);
    source.next(2);
    expect(room.isOpen).toBe(false);
    expect(await ahead.next()).toBe(1);
    expect(room.isOpen).toBe(true);
  });

  test('gives values that come later to those who wait, in their order', async () => {
    const source = new Subject<number>();
    const ahead = prefetch(source, 1, new Gate());
    const both = [ahead.next(), ahead.next()];
    source.next(1);
    source.next(2);
    expect(await Promise.all(both)).toEqual([1, 2]);
  });

  test('gives the values before an error, then the error each time', async () => {
    const failing = new Observable<number>((subscriber) => {
      subscriber.next(1);
      subscriber.error(new Error('gone'));
    });
    const ahead = prefetch(failing, 2, new Gate());
    expect(await ahead.next()).toBe(1);
    await expect(ahead.next()).rejects.toThrow('gone');
    await expect(ahead.next()).rejects.toThrow('gone');
    await expect(
      prefetch(
        throwError(() => new Error('at once')),
        1,
        new Gate(),
      ).next(),
    ).rejects.toThrow('at once');
  });

  test('is an async iterable, and unsubscribes when it is left', async () => {
    const taken: number[] = [];
    for await (const value of prefetch(of(1, 2, 3), 2, new Gate())) taken.push(value);
    expect(taken).toEqual([1, 2, 3]);
    let unsubscribed = false;
    const endless = new Observable<number>((subscriber) => {
      subscriber.next(1);
      return () => {
        unsubscribed = true;
      };
    });
    for await (const _ of prefetch(endless, 1, new Gate())) break;
    expect(unsubscribed).toBe(true);
  });

  test('closed, it opens the gate, drops what waits and ends whoever waits', async () => {
    const room = new Gate();
    const ahead = prefetch(new Observable<number>((subscriber) => subscriber.next(1)), 1, room);
    expect(room.isOpen).toBe(false);
    ahead.close();
    expect(room.isOpen).toBe(true);
    expect(await ahead.next()).toBeNull();
    const silent = prefetch(new Subject<number>(), 1, new Gate());
    const waiting = silent.next();
    silent.close();
    expect(await waiting).toBeNull();
  });
});

describe('a gate', () => {
  test('is shut until every hold is released, and does not keep those waiting whose signal aborts', async () => {
    const gate = new Gate();
    const stop = new AbortController();
    const events: string[] = [];
    gate.hold();
    gate.hold();
    const open = gate.whenOpen(new AbortController().signal).then(() => events.push('open'));
    const aborted = gate.whenOpen(stop.signal).then(() => events.push('aborted'));
    gate.release();
    stop.abort();
    await aborted;
    expect(events).toEqual(['aborted']);
    gate.release();
    await open;
    expect(events).toEqual(['aborted', 'open']);
    expect(() => gate.release()).toThrow();
  });

  test('shut again before a waiter runs keeps him waiting', async () => {
    const gate = new Gate();
    let passed = false;
    gate.hold();
    const waiting = gate.whenOpen(new AbortController().signal).then(() => {
      passed = true;
    });
    gate.release();
    gate.hold();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(passed).toBe(false);
    gate.release();
    await waiting;
  });
});
