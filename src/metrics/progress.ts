import type { CommitReport, StepReport } from '../trainer/report.ts';
import { formatBlock, formatLine, type ProgressView } from './progress-format.ts';

export interface ProgressOptions {
  /** Steps to do in all; null when the run has no end. */
  readonly total: number | null;
  /** Where people look: stderr. */
  readonly stream: { write(text: string): unknown; readonly columns?: number; readonly rows?: number };
  /** True: one status block, drawn over itself. False: a plain line every ten seconds. */
  readonly isTTY: boolean;
  /** False: what makes the steps commits nothing, and nothing is said of commits. */
  readonly commits?: boolean;
  /** Seconds on a clock that never goes back. */
  readonly now?: () => number;
}

export interface Progress {
  onStep(report: StepReport): void;
  onCommit(report: CommitReport): void;
  /** A line that stays, above the status block. Control characters of whatever text it quotes are taken out. */
  note(line: string): void;
  /** Shows the last state for good and stops. May be called twice. */
  end(): void;
}

/** Rates are means over this much of the past. */
const RATE_WINDOW = 30;
const RATE_POINT_EVERY = 0.25;
/** Seconds between two redraws of the block, and between two lines of a log. */
const REDRAW_EVERY = 0.1;
const LINE_EVERY = 10;
/** The clock of the display itself: it goes on when no step comes, to say for how long none has. */
const TICK_MS = 500;

/** The live display of a training run for people. It formats nothing on most steps: only a few times a second. */
export function createProgress(options: ProgressOptions): Progress {
  const { total, stream, isTTY, commits = true, now = () => performance.now() / 1000 } = options;
  let points: { time: number; step: number; samples: number }[] = [];
  let samples = 0;
  let last: { report: StepReport; time: number } | null = null;
  let commit: { report: CommitReport; time: number } | null = null;
  let shownAt = Number.NEGATIVE_INFINITY;
  let shownStep = -1;
  /** The block that stands on the screen, the cursor right below it. */
  let standing: string[] = [];
  let ended = false;

  const view = (): ProgressView | null => {
    if (last === null) return null;
    const { report, time } = last;
    const first = points[0]!;
    const seconds = time - first.time;
    return {
      total,
      report,
      // The first step of a process warms the engine up and says nothing about the speed.
      stepsPerSecond: seconds > 0 ? (report.step - first.step) / seconds : null,
      samplesPerSecond: seconds > 0 ? (samples - first.samples) / seconds : null,
      sinceStep: ended ? 0 : now() - time,
      ...(commits && { commit: commit && { report: commit.report, secondsAgo: now() - commit.time } }),
    };
  };
  // One write, so that nothing else on the terminal comes between the erasing and the drawing.
  const draw = (above: string) => {
    const current = view();
    const columns = stream.columns || 80;
    // A window made narrower since then has broken the lines that no longer fit.
    const height = standing.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0);
    const erase = height > 0 ? `\u001b[${height}A\r\u001b[J` : '';
    const lines = current === null ? [] : formatBlock(current, columns);
    // A block higher than the screen could not be erased again.
    const block = lines.slice(0, Math.max((stream.rows || 24) - 1, 1));
    standing = block;
    stream.write(erase + above + block.map((line) => `${line}\n`).join(''));
  };
  const show = () => {
    const current = view();
    if (current === null) return;
    shownAt = now();
    shownStep = current.report.step;
    if (isTTY) draw('');
    else stream.write(`${formatLine(current)}\n`);
  };
  const showWhenDue = () => {
    if (!ended && now() - shownAt >= (isTTY ? REDRAW_EVERY : LINE_EVERY)) show();
  };
  const timer = setInterval(showWhenDue, TICK_MS);
  timer.unref(); // the display never keeps a process alive

  return {
    onStep(report) {
      const time = now();
      samples += report.samples;
      last = { report, time };
      // A step that does not follow the one before: the trainer has gone back, and the rates begin anew.
      if (points.length > 0 && report.step <= points.at(-1)!.step) points = [];
      if (points.length === 0 || time - points.at(-1)!.time >= RATE_POINT_EVERY) {
        points.push({ time, step: report.step, samples });
        while (points.length > 2 && time - points[0]!.time > RATE_WINDOW) points.shift();
      }
      showWhenDue();
    },
    onCommit(report) {
      commit = { report, time: now() };
    },
    note(line) {
      const text = `${printable(line)}\n`;
      if (isTTY && !ended) draw(text);
      else stream.write(text);
    },
    end() {
      if (ended) return;
      clearInterval(timer);
      ended = true;
      if (last !== null && (isTTY || last.report.step !== shownStep)) show();
      standing = [];
    },
  };
}

/** Keeps newlines and tabs; takes out what could move the cursor or change the terminal. */
function printable(text: string): string {
  return [...text]
    .filter((character) => character === '\n' || character === '\t' || !/\p{Cc}/u.test(character))
    .join('');
}
