import type { Draw } from './draw.ts';
import type { Ground } from './ground.ts';

/** What became of a trial. The first two are what the product promises; every other one fails the campaign. */
export type Verdict =
  | 'recovered identical' // brought to its end, the run equals the uninterrupted one bit for bit
  | 'refused correctly' // it stopped with status 4, naming what is damaged, and goes on once that is restored
  | 'lost' // a step, sample or commit that was there is gone
  | 'repeated' // a sample or step was committed more than once
  | 'silently accepted' // it went on with something else than the uninterrupted run has, or was not fenced
  | 'wrongly refused' // it stopped where it should go on, or with another error than the right one
  | 'not tried'; // the fault could not be made here

export const GOOD: readonly Verdict[] = ['recovered identical', 'refused correctly'];

export interface Trial {
  readonly verdict: Verdict;
  /** Where in the protocol, or at which bytes, the fault came. */
  readonly moment: string;
  /** For a verdict that is not good: what was seen. */
  readonly detail?: string;
}

export type LogKind = 'file' | 'kafka';

/** One kind of fault: it makes a run, brings the fault over it, and judges what comes of it. */
export interface FaultKind {
  readonly name: string;
  readonly log: LogKind;
  /** The commit protocol alone, with made-up states; or `repulsor train` with an engine. */
  readonly trainer: 'protocol' | 'real';
  run(ground: Ground, draw: Draw): Promise<Trial>;
}

/** Ends a trial from within, with its verdict. */
export class Judged extends Error {
  readonly verdict: Verdict;

  constructor(verdict: Verdict, what: string) {
    super(what);
    this.verdict = verdict;
  }
}
