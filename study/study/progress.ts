import { duration } from '../../src/metrics/progress-format.ts';
import type { Task } from './plan.ts';

/** What measuring a mark takes, in steps of training. */
const STEPS_A_MARK = 350;

/** How much of the study is done, and when the rest will be at the pace so far. */
export class Progress {
  readonly #tasks: readonly Task[];
  readonly #measured: (task: Task) => number;
  readonly #steps = new Map<string, number>();
  readonly #begun: number;
  readonly #before: number;
  readonly #now: () => number;

  /** `measured`: marks of a run that are. `now`: in milliseconds. */
  constructor(tasks: readonly Task[], measured: (task: Task) => number, now = () => performance.now()) {
    this.#tasks = tasks;
    this.#measured = measured;
    this.#now = now;
    this.#begun = now();
    this.#before = this.#done();
  }

  at(task: Task, step: number): void {
    // A run that goes on has done what lies before without us.
    this.#steps.set(task.name, step);
  }

  words(): string {
    const [done, total] = [this.#done(), this.#total()];
    const runs = this.#tasks.filter((task) => this.#measured(task) === task.marks.length).length;
    const here = done - this.#before;
    const seconds = (this.#now() - this.#begun) / 1000;
    const left = here > 0 && done < total ? `, ${duration((seconds * (total - done)) / here)} left` : '';
    return `${runs} of ${this.#tasks.length} runs, ${((100 * done) / total).toFixed(1)}%${left}`;
  }

  #done(): number {
    return this.#tasks.reduce((sum, task) => {
      const measured = this.#measured(task);
      const whole = measured === task.marks.length;
      const steps = whole ? task.steps : (this.#steps.get(task.name) ?? 0);
      return sum + steps + STEPS_A_MARK * measured;
    }, 0);
  }

  #total(): number {
    return this.#tasks.reduce((sum, task) => sum + task.steps + STEPS_A_MARK * task.marks.length, 0);
  }
}
