import { RepulsorError } from '../errors.ts';

/** One setting that a sweep varies. */
export interface Axis {
  /** Of the setting, such as `losses.repulsion.queue`. */
  readonly path: string;
  /** As they were given, in their order: JSON, or else text. */
  readonly values: readonly string[];
}

/** One run of a sweep. */
export interface GridRun {
  /** Of its folder, and in the run's name. */
  readonly name: string;
  /** One value of each axis, in the order of the axes. */
  readonly values: readonly string[];
  readonly seed: number;
  /** `PATH=VALUE` for every setting of the sweep, axes and others. */
  readonly overrides: readonly string[];
}

export interface Grid {
  readonly axes: readonly Axis[];
  /** `PATH=VALUE` of the settings that have one value. */
  readonly fixed: readonly string[];
}

/**
 * `PATH=V1,V2,...`: a setting with several values is an axis, one with a single value is set in every run. Commas inside
 * brackets, braces and quotes belong to the value: `losses.repulsion.block=1,[1,3]` has two.
 * @throws RepulsorError USAGE
 */
export function parseGrid(settings: readonly string[]): Grid {
  const axes: Axis[] = [];
  const fixed: string[] = [];
  for (const text of settings) {
    const at = text.indexOf('=');
    const path = text.slice(0, at);
    const values = at < 1 ? [] : splitValues(text.slice(at + 1));
    if (values.length === 0 || values.some((value) => value === ''))
      throw usage(`--set ${text} is not PATH=VALUE or PATH=VALUE,VALUE,...`);
    if (new Set(values).size < values.length) throw usage(`--set ${text} names a value twice`);
    if (axes.some((axis) => axis.path === path)) throw usage(`--set ${path} is given twice`);
    if (path === 'seed') throw usage('--set seed: the seeds of a sweep are counted by --seeds, from the seed on');
    if (values.length === 1) fixed.push(text);
    else axes.push({ path, values });
  }
  return { axes, fixed };
}

function splitValues(text: string): string[] {
  const values: string[] = [];
  let depth = 0;
  let quoted = false;
  let value = '';
  for (const [i, character] of [...text].entries()) {
    if (character === '"' && text[i - 1] !== '\\') quoted = !quoted;
    if (!quoted && '[{'.includes(character)) depth++;
    if (!quoted && ']}'.includes(character)) depth--;
    if (character === ',' && depth === 0 && !quoted) {
      values.push(value.trim());
      value = '';
    } else value += character;
  }
  return [...values, value.trim()];
}

function usage(what: string): RepulsorError {
  return new RepulsorError('USAGE', what, { hint: 'for example: --set losses.repulsion.queue=0,1024,4096' });
}

/** Every combination of the axes' values, the last axis fastest, each with `seeds` seeds from `firstSeed` on. */
export function gridRuns({ axes, fixed }: Grid, firstSeed: number, seeds: number): GridRun[] {
  const points = axes.reduce<string[][]>(
    (made, { values }) => made.flatMap((point) => values.map((value) => [...point, value])),
    [[]],
  );
  const words = shortNames(axes.map(({ path }) => path));
  const taken = new Set<string>();
  return points.flatMap((values) => {
    const said = values.map((value, i) => `${words[i]}-${inFileName(value)}`).join('_') || 'all';
    // Two values may read alike without their brackets.
    const base = [said, ...Array.from({ length: points.length }, (_, n) => `${said}.${n + 2}`)].find(
      (n) => !taken.has(n),
    )!;
    taken.add(base);
    const set = [...fixed, ...axes.map(({ path }, i) => `${path}=${values[i]}`)];
    return Array.from({ length: seeds }, (_, i) => ({
      name: `${base}_seed-${firstSeed + i}`,
      values,
      seed: firstSeed + i,
      overrides: set,
    }));
  });
}

/** Of each path its last word, or as many of its last words as tell it from the others. */
export function shortNames(paths: readonly string[]): string[] {
  return paths.map((path) => {
    const words = path.split('.');
    for (let n = 1; n < words.length; n++) {
      const short = words.slice(-n).join('.');
      if (!paths.some((other) => other !== path && `.${other}`.endsWith(`.${short}`))) return short;
    }
    return path;
  });
}

/** Letters, digits and points, the rest as dashes. */
const inFileName = (value: string): string =>
  value
    .replace(/[^A-Za-z0-9.]+/g, '-')
    .replace(/^-(?=.)|-$/g, '')
    .slice(0, 24);
