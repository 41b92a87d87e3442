import { findSourceMap } from 'node:module';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** tfjs as it is installed, and by the names that its source maps give to its files; and what its asynchronous functions run on. */
const TFJS =
  /[\\/]@tensorflow[\\/]|[\\/]node_modules[\\/]tslib[\\/]|[\\/]tfjs-(?:core|node|backend-cpu|backend-wasm)[\\/]src[\\/]/;

/** Code that a user cannot mend: this folder, tfjs, and Node itself. */
const ENGINE = fileURLToPath(new URL('.', import.meta.url));
const isForeign = (file: string): boolean =>
  file === '' || file.startsWith(ENGINE) || file.startsWith('node:') || TFJS.test(file);

/** Between a user's code and the engine lie up to some twenty frames of tfjs; Node keeps ten by default. */
const FRAMES = 60;

/** Places in words, by where they are in the code as it runs. The code of a process is finite. */
const known = new Map<string, string>();

/** What failed, where it was made elsewhere than it was thrown. */
const blamed = new WeakMap<object, string>();

/** The innermost code outside of the engine that is being called right now, as `src/model/linear.ts:12:9`. */
export function callSite(): string {
  const { prepareStackTrace, stackTraceLimit } = Error;
  Error.stackTraceLimit = FRAMES;
  Error.prepareStackTrace = (_, frames) => frames;
  const frames = new Error().stack as unknown as NodeJS.CallSite[];
  Object.assign(Error, { prepareStackTrace, stackTraceLimit });
  const frame = frames.find((candidate) => !isForeign(pathOf(candidate.getFileName() ?? '')));
  if (frame === undefined) return 'unknown code';
  const key = `${frame.getFileName()}:${frame.getLineNumber()}:${frame.getColumnNumber()}`;
  let place = known.get(key);
  if (place === undefined) {
    place = placeOf(frame);
    known.set(key, place);
  }
  return place;
}

/** Errors thrown by `work` know the frames that `failureSite` looks for. */
export function withDeepStacks<T>(work: () => T): T {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = FRAMES;
  try {
    return work();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** Names the code at fault, where the error's own stack does not show it. The first word stands. */
export function blame(error: unknown, site: string): void {
  if (error instanceof Error && !blamed.has(error)) blamed.set(error, site);
}

/** The code at fault for an error; null when none but the engine's and the libraries' is known. */
export function failureSite(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  return blamed.get(error) ?? placeInStack(error.stack ?? '');
}

/** In the code as it was written, where something is there to tell: a loader's hook, or a source map. */
function placeOf(frame: NodeJS.CallSite): string {
  const hook = Error.prepareStackTrace;
  const told = hook === undefined ? null : placeInStack(String(hook(new Error(), [frame])));
  if (told !== null) return told;
  const file = frame.getFileName() ?? '';
  const [line, column] = [frame.getLineNumber() ?? 0, frame.getColumnNumber() ?? 0];
  const origin = findSourceMap(pathOf(file))?.findOrigin(line, column);
  return origin !== undefined && 'fileName' in origin
    ? words(origin.fileName, origin.lineNumber, origin.columnNumber)
    : words(file, line, column);
}

/** The innermost frame of a stack in words (`at f (file:1:2)` or `at file:1:2`) that is nobody else's. */
function placeInStack(stack: string): string | null {
  for (const [, file, line, column] of stack.matchAll(/^\s+at (?:.*\()?([^\s()].*?):(\d+):(\d+)\)?$/gm))
    if (!isForeign(pathOf(file!))) return words(file!, Number(line), Number(column));
  return null;
}

function pathOf(file: string): string {
  return file.startsWith('file:') ? fileURLToPath(file) : file;
}

function words(file: string, line: number, column: number): string {
  const path = pathOf(file);
  const near = relative(process.cwd(), path);
  return `${near.startsWith('..') ? path : near}:${line}:${column}`;
}
