import xterm from '@xterm/headless';
import { afterEach, describe, expect, test } from 'vitest';
import { createProgress, type Progress } from '../../src/metrics/progress.ts';
import { commitReport, stepReport } from './reports.ts';

const open: Progress[] = [];
afterEach(() => {
  for (const progress of open.splice(0)) progress.end();
});

/** A progress display on a real terminal emulator, with a clock that the test turns. */
function onTerminal({
  columns = 100,
  rows = 24,
  total = 1000,
}: {
  columns?: number;
  rows?: number;
  total?: number;
} = {}) {
  const terminal = new xterm.Terminal({
    cols: columns,
    rows,
    convertEol: true,
    scrollback: 500,
    allowProposedApi: true,
  });
  const stream = {
    columns,
    rows,
    written: Promise.resolve(),
    write(text: string) {
      this.written = new Promise((resolve) => terminal.write(text, resolve));
    },
  };
  const clock = { seconds: 0 };
  const progress = createProgress({ total, stream, isTTY: true, now: () => clock.seconds });
  open.push(progress);
  return {
    progress,
    clock,
    /** All that a person can see or scroll back to. */
    async screen(): Promise<string[]> {
      await stream.written;
      const buffer = terminal.buffer.active;
      const lines = Array.from({ length: buffer.length }, (_, y) => buffer.getLine(y)!.translateToString(true));
      while (lines.at(-1) === '') lines.pop();
      return lines;
    },
    resize(to: number) {
      stream.columns = to;
      terminal.resize(to, rows);
    },
  };
}

/** A progress display on something that is no terminal. */
function onPipe(total: number | null = 1000) {
  const clock = { seconds: 0 };
  let text = '';
  const stream = {
    write(part: string) {
      text += part;
    },
  };
  const progress = createProgress({ total, stream, isTTY: false, now: () => clock.seconds });
  open.push(progress);
  return { progress, clock, lines: () => text.split('\n').slice(0, -1) };
}

describe('on a terminal', () => {
  test('one block is drawn over itself', async () => {
    const { progress, clock, screen } = onTerminal();
    for (let step = 1; step <= 50; step++) {
      clock.seconds += 0.2;
      progress.onStep(stepReport(step));
    }
    const lines = await screen();
    expect(lines).toHaveLength(5);
    expect(lines[0]).toMatch(/^step 50\/1,000 {2}5% /);
  });

  test('the rates are means over the clock, waits and commits included', async () => {
    const { progress, clock, screen } = onTerminal();
    for (let step = 1; step <= 200; step++) {
      clock.seconds += 0.2;
      progress.onStep(stepReport(step));
    }
    const lines = await screen();
    expect(lines[0]).toContain('  2m40s left  ');
    expect(lines[2]).toMatch(/^160 img\/s /);
  });

  test('a note stands above the block, and stays', async () => {
    const { progress, clock, screen } = onTerminal();
    progress.note('before the first step');
    progress.onStep(stepReport(1));
    progress.note('two\nlines');
    clock.seconds += 1;
    progress.onStep(stepReport(2));
    const lines = await screen();
    expect(lines.slice(0, 3)).toEqual(['before the first step', 'two', 'lines']);
    expect(lines[3]).toMatch(/^step 2\//);
    expect(lines).toHaveLength(8);
  });

  test('a note cannot move the cursor or change the terminal', async () => {
    const { progress, screen } = onTerminal();
    progress.note('bad topic "\u001b[2J\u001b[H\u0007\u009b31mimages\r"');
    expect(await screen()).toEqual(['bad topic "[2J[H31mimages"']);
  });

  test('it is drawn a few times a second, however fast the steps are', async () => {
    let writes = 0;
    const clock = { seconds: 0 };
    const stream = { columns: 80, rows: 24, write: () => void writes++ };
    const progress = createProgress({ total: 1e6, stream, isTTY: true, now: () => clock.seconds });
    open.push(progress);
    for (let step = 1; step <= 10_000; step++) {
      clock.seconds += 0.0005;
      progress.onStep(stepReport(step));
    }
    expect(writes).toBeGreaterThan(40);
    expect(writes).toBeLessThan(52);
  });

  test.each([140, 61, 30])(
    'a window made narrower or wider, to %i columns, leaves no trace of the old block',
    async (to) => {
      const { progress, clock, screen, resize } = onTerminal();
      progress.note('kept');
      progress.onStep(stepReport(1));
      await screen();
      resize(to);
      clock.seconds += 1;
      progress.onStep(stepReport(2));
      const lines = await screen();
      expect(lines[0]).toBe('kept');
      expect(lines[1]).toMatch(/^step 2\//);
      expect(lines.filter((line) => line.startsWith('step 1/'))).toEqual([]);
      expect(lines.filter((line) => line.startsWith('loss '))).toHaveLength(1);
    },
  );

  test('a window too low for the block shows its first lines, once', async () => {
    const { progress, clock, screen } = onTerminal({ rows: 4 });
    for (let step = 1; step <= 20; step++) {
      clock.seconds += 1;
      progress.onStep(stepReport(step));
    }
    const lines = await screen();
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^step 20\//);
  });

  test('it tells the last commit and its age', async () => {
    const { progress, clock, screen } = onTerminal();
    progress.onStep(stepReport(1));
    expect((await screen()).at(-1)).toBe('no commit since the start');
    progress.onCommit(commitReport(1, 1));
    clock.seconds += 12;
    progress.onStep(stepReport(2));
    expect((await screen()).at(-1)).toBe('committed step 1 (generation 1)  12s ago  38.0MB in 400ms');
  });

  test('the end shows the very last step, stays on the screen, and comes once', async () => {
    const { progress, clock, screen } = onTerminal();
    progress.onStep(stepReport(1));
    clock.seconds += 0.01;
    progress.onStep(stepReport(2));
    clock.seconds += 60; // a last commit may take its time: that is no silence to report
    progress.end();
    progress.end();
    progress.note('after');
    const lines = await screen();
    expect(lines[0]).toMatch(/^step 2\//);
    expect(lines.join()).not.toContain('no step for');
    expect(lines.slice(5)).toEqual(['after']);
  });
});

describe('where there is no terminal', () => {
  test('it writes the first step, a line every ten seconds, and the last step, without control characters', () => {
    const { progress, clock, lines } = onPipe();
    for (let step = 1; step <= 250; step++) {
      progress.onStep(stepReport(step));
      clock.seconds += 0.125;
    }
    progress.end();
    progress.end();
    expect(lines().map((line) => line.split('  ')[0])).toEqual([
      'step 1/1,000',
      'step 81/1,000',
      'step 161/1,000',
      'step 241/1,000',
      'step 250/1,000',
    ]);
    expect(lines().join('')).not.toMatch(/\p{Cc}/u);
  });

  test('the end does not repeat a line that stands there already', () => {
    const { progress, lines } = onPipe();
    progress.onStep(stepReport(1));
    progress.end();
    expect(lines()).toHaveLength(1);
  });

  test('notes are lines', () => {
    const { progress, lines } = onPipe();
    progress.note('engine native');
    expect(lines()).toEqual(['engine native']);
  });

  test('a run that never stepped says nothing', () => {
    const { progress, lines } = onPipe();
    progress.end();
    expect(lines()).toEqual([]);
  });

  test('while no step comes it says so, and for how long', async () => {
    const { progress, clock, lines } = onPipe(null);
    progress.onStep(stepReport(1));
    clock.seconds += 70;
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(lines()).toHaveLength(2);
    expect(lines()[1]).toContain('no step for 1m10s');
  });
});
