/**
 * A writer that stops itself (SIGSTOP) right before its k-th file operation, for the fencing tests:
 * `stopping-child.ts DIR`. It reads one line `ID TOPIC TOPIC K` a round; takes the id over, commits once undisturbed,
 * then begins and commits again with the stop armed, and tells what came of it: `committed`, `FENCED`, or the error.
 * Before the stop it says `stopped`, and `done` in front of the outcome when it got through with fewer operations.
 */

import { writeSync } from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { createInterface } from 'node:readline';

const promises = createRequire(import.meta.url)('node:fs/promises') as Record<string, unknown>;
const MISSING = Number.POSITIVE_INFINITY;
let left = MISSING;

function count(): void {
  left -= 1;
  if (left !== 0) return;
  writeSync(1, 'stopped\n');
  process.kill(process.pid, 'SIGSTOP');
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

function counted(owner: Record<string, unknown>, name: string): void {
  const original = owner[name] as Method;
  owner[name] = function (this: unknown, ...args: unknown[]) {
    count();
    return original.apply(this, args);
  };
}

for (const name of ['open', 'link', 'rename', 'unlink', 'readFile', 'readdir', 'mkdir', 'readlink'])
  counted(promises, name);
const handle = await (promises['open'] as (path: string) => Promise<{ close(): Promise<void> }>)(process.argv[1]!);
const prototype = Object.getPrototypeOf(handle) as Record<string, unknown>;
for (const name of ['write', 'writeFile', 'sync', 'datasync', 'read', 'stat', 'truncate', 'close'])
  counted(prototype, name);
await handle.close();
syncBuiltinESMExports();

const { openLog } = await import('../../src/log/open-log.ts');
const { bytes } = await import('./text.ts');

const log = await openLog(`file:${process.argv[2]}`);
writeSync(1, 'ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  const [id, one, two, k] = line.split(' ') as [string, string, string, string];
  const writer = await log.takeOver(id);
  const commit = async (text: string): Promise<void> => {
    const transaction = await writer.begin();
    await transaction.append(one, [{ value: bytes(text) }]);
    await transaction.append(two, [{ value: bytes(text) }]);
    await transaction.commit();
  };
  await commit('old, first');
  left = Number(k);
  let outcome = 'committed';
  try {
    await commit('old, second');
  } catch (error) {
    outcome = (error as { code?: string }).code ?? String(error);
  }
  const through = left > 0;
  left = MISSING;
  await writer.close();
  writeSync(1, `${through ? 'done ' : ''}${outcome}\n`);
}
await log.close();
