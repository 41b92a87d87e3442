import { Observable, type OperatorFunction } from 'rxjs';

/**
 * Each value's result, one after the other, as `concatMap` has it: a value waits for the results before it. What is no promise is
 * passed on at once, without an observable of its own: for records that hold one image each that is most of the work.
 * `passed`: called for each result once the operators behind have taken it.
 */
export function inOrder<T, R>(
  project: (value: T) => R | Promise<R>,
  passed: (result: R) => void = () => {},
): OperatorFunction<T, R> {
  return (source) =>
    new Observable((subscriber) => {
      const waiting: T[] = [];
      let busy = false;
      let complete = false;

      const pass = (result: R): void => {
        subscriber.next(result);
        passed(result);
      };
      const take = (value: T): void => {
        try {
          const result = project(value);
          if (!(result instanceof Promise)) {
            pass(result);
            return;
          }
          busy = true;
          result
            .then((later) => {
              pass(later);
              busy = false;
              goOn();
            })
            .catch((error: unknown) => subscriber.error(error));
        } catch (error) {
          subscriber.error(error);
        }
      };
      const goOn = (): void => {
        while (!busy && waiting.length > 0 && !subscriber.closed) take(waiting.shift()!);
        if (!busy && complete) subscriber.complete();
      };

      return source.subscribe({
        next(value) {
          if (busy) waiting.push(value);
          else take(value);
        },
        error: (error) => subscriber.error(error),
        complete() {
          complete = true;
          goOn();
        },
      });
    });
}
