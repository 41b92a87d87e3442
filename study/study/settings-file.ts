import { readFile, writeFile } from 'node:fs/promises';
import { RepulsorError } from '../../src/errors.ts';
import type { SetName } from './sets.ts';
import { overPlain, type StepTimes } from './step-times.ts';
import { MAIN } from './variants.ts';

/** What all figures of a folder have in common. */
interface Kept {
  readonly steps: Readonly<Record<SetName, number>>;
  readonly marks: number;
  readonly samples: number;
  /** The variant that trains for the time of plain, too. */
  readonly main: string;
  /** Steps that fit the time of plain's. Kept here, so that times that are measured anew change no plan. */
  readonly equalTimeSteps: Readonly<Record<SetName, number>>;
}

/**
 * The settings in `file`; where there is none yet, those asked for are written. `times` is asked for once, by a folder's first start.
 * @throws RepulsorError USAGE where the folder holds a study of other steps, marks, samples or another main variant
 */
export async function keptSettings(
  file: string,
  { steps, marks, samples }: Pick<Kept, 'steps' | 'marks' | 'samples'>,
  times: () => Promise<StepTimes>,
): Promise<Kept> {
  const text = await readFile(file, 'utf8').catch(() => null);
  const asked = { steps, marks, samples, main: MAIN };
  if (text === null) {
    const kept = { ...asked, equalTimeSteps: equalTime(steps, await times()) };
    await writeFile(file, `${JSON.stringify(kept)}\n`);
    return kept;
  }
  const kept = JSON.parse(text) as Kept;
  const words = (of: typeof asked) =>
    JSON.stringify({ steps: of.steps, marks: of.marks, samples: of.samples, main: of.main });
  if (words(kept) === words(asked)) return kept;
  throw new RepulsorError('USAGE', `${file} says ${words(kept)}, but asked for is ${words(asked)}`, {
    hint: 'figures of unequal steps or samples do not compare: name another folder with --out',
  });
}

/** How many steps of the main variant take the time of plain's. Of a set without times, all. */
export function equalTime(steps: Readonly<Record<SetName, number>>, times: StepTimes): Record<SetName, number> {
  const of = (set: SetName) => {
    const ratio = overPlain(times, set, MAIN)?.median ?? 1;
    return Math.max(1, Math.round(steps[set] / ratio));
  };
  return { digits: of('digits'), emoji: of('emoji') };
}
