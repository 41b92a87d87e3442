/**
 * Loaded before a trainer (`node --import tsx --import THIS ...`), it counts the trainer's file operations and, at one of
 * them, does what a machine may do there. Nothing of the trainer is changed or replaced: what it calls of node:fs/promises
 * is wrapped. $REPULSOR_FAULT is a FileFault as JSON; without it the operations are only told.
 *
 * It writes a line of JSON to file descriptor 3 for each operation when `tell` is set, and one when the fault comes.
 */

import { writeSync } from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { basename, dirname } from 'node:path';

/** `kill` and `stop`: right before the operation. `half-...`: a write that comes half way first. An error: instead of it. */
export type FileAct = 'kill' | 'half-kill' | 'stop' | 'EIO' | 'ENOSPC' | 'half-ENOSPC' | 'EROFS' | 'EACCES';

export interface FileFault {
  /** Counted from 0 over the operations of a kind that `only` names, on paths that contain `within`. -1 for none. */
  readonly at: number;
  readonly act: FileAct;
  /** Paths without it do not count. */
  readonly within?: string;
  /** Default: all that change something. */
  readonly only?: readonly string[];
  /** An error comes at every operation from `at` on: a disk that stays full. */
  readonly stays?: boolean;
  readonly tell?: boolean;
}

export interface FileOperationLine {
  /** "write blobs/writing-*", as a person reads it. */
  readonly operation: string;
  readonly fault: boolean;
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

const CHANGES = ['create', 'write', 'sync', 'link', 'rename', 'unlink', 'mkdir', 'truncate'];
const fault: FileFault | null = JSON.parse(process.env['REPULSOR_FAULT'] ?? 'null');
const only = fault?.only ?? CHANGES;
const promises = createRequire(import.meta.url)('node:fs/promises') as Record<string, Method>;
const paths = new WeakMap<object, string>();
let reached = 0;

/** Random parts of names are starred, so that a moment has one name in every life. */
function shown(kind: string, path: string): string {
  const name = basename(path)
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}/g, '*')
    .replace(/^[0-9a-f]{64}/, '*')
    .replace(/^\.[0-9a-f]{16}\.tmp$/, '.*.tmp');
  return `${kind} ${basename(dirname(path)).replace(/^trial-\d+$/, 'run')}/${name}`;
}

/** Whether the fault comes at this operation; told to whoever started the process. */
function isDue(kind: string, path: string): boolean {
  if (fault === null || !only.includes(kind) || !path.includes(fault.within ?? '')) return false;
  const number = reached++;
  const due = number === fault.at || (fault.stays === true && fault.at >= 0 && number > fault.at);
  if (due || fault.tell) writeSync(3, `${JSON.stringify({ operation: shown(kind, path), fault: due })}\n`);
  return due;
}

function systemError(code: string, kind: string, path: string): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(`${code}: made by a fault test, ${kind} '${path}'`);
  return Object.assign(error, { code, errno: -1, syscall: kind, path });
}

/** Before an operation; resolves when it is to be done as asked. @throws what the system would */
async function before(kind: string, path: string, half: (() => Promise<unknown>) | null): Promise<void> {
  if (!isDue(kind, path)) return;
  const act = fault!.act;
  if (act.startsWith('half-')) await half?.();
  if (act.endsWith('kill')) {
    process.kill(process.pid, 'SIGKILL');
    await new Promise(() => undefined);
  }
  if (act === 'stop') process.kill(process.pid, 'SIGSTOP');
  else throw systemError(act.replace('half-', ''), kind, path);
}

function wrapFunction(
  name: string,
  kindOf: (args: unknown[]) => string | null,
  pathOf: (args: unknown[]) => string,
): void {
  const original = promises[name]!;
  promises[name] = async function (...args) {
    const kind = kindOf(args);
    if (kind !== null) await before(kind, pathOf(args), null);
    const result = await original.apply(this, args);
    if (name === 'open') paths.set(result as object, String(args[0]));
    return result;
  };
}

const first = (args: unknown[]): string => String(args[0]);
const second = (args: unknown[]): string => String(args[1]);
wrapFunction('open', ([, flags]) => (typeof flags === 'string' && /[wax]/.test(flags) ? 'create' : null), first);
wrapFunction('link', () => 'link', second);
wrapFunction('rename', () => 'rename', second);
wrapFunction('unlink', () => 'unlink', first);
wrapFunction('mkdir', () => 'mkdir', first);
wrapFunction('readFile', () => 'read', first);
wrapFunction('readdir', () => 'read', first);

const handle = (await promises['open']!(process.argv[1] ?? '/')) as { close(): Promise<void> };
const prototype = Object.getPrototypeOf(handle) as Record<string, Method>;
await handle.close();

function wrapMethod(name: string, kind: string): void {
  const original = prototype[name]!;
  prototype[name] = async function (this: unknown, ...args) {
    const file = this as object;
    const half = name === 'write' || name === 'writeFile' ? () => writeHalf(file, name, args) : null;
    await before(kind, paths.get(file) ?? '', half);
    return original.apply(this, args);
  };
}

const write = prototype['write']!;

/** The first half of the bytes reach the file, as when the power goes in the middle of a write. */
async function writeHalf(file: object, name: string, args: unknown[]): Promise<void> {
  const bytes = args[0] as Uint8Array;
  const from = name === 'write' ? Number(args[1] ?? 0) : 0;
  const length = name === 'write' ? Number(args[2] ?? bytes.byteLength - from) : bytes.byteLength;
  const at = name === 'write' ? args[3] : null;
  await write.call(file, bytes, from, Math.floor(length / 2), at);
}

wrapMethod('write', 'write');
wrapMethod('writeFile', 'write');
wrapMethod('sync', 'sync');
wrapMethod('datasync', 'sync');
wrapMethod('truncate', 'truncate');
wrapMethod('read', 'read');
syncBuiltinESMExports();
