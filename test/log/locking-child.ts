/** Tries to become the plain writer of topic `t` in DIR at the line `go`; says `locked` or `writing`, and then keeps it. */
import { createInterface } from 'node:readline';
import { openLog } from '../../src/log/open-log.ts';
import { bytes } from './text.ts';

const log = await openLog(`file:${process.argv[2]}`);
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'close') {
    await log.close();
    console.log('closed');
    continue;
  }
  try {
    await log.append('t', [{ value: bytes(String(process.pid)) }]);
    console.log('writing');
  } catch (error) {
    console.log(`${(error as { code?: string }).code} ${(error as Error).message}`);
  }
}
