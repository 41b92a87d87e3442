/**
 * Writes until it is killed: `crashing-child.ts DIR plain|transactions SEED`. Before each append it says `try N`, when it
 * has resolved `ok N`. A record's value is its number, repeated to a size that depends on it; three partitions.
 */

import { writeSync } from 'node:fs';
import { openLog } from '../../src/log/open-log.ts';
import { recordNumber } from './crash-record.ts';

const [, , dir, mode, first] = process.argv;
const log = await openLog(`file:${dir}`, { file: { segmentBytes: 20_000 } });
const say = (line: string): void => {
  writeSync(1, `${line}\n`);
};
if (mode === 'plain') {
  for (let number = Number(first); ; number++) {
    say(`try ${number}`);
    await log.append('plain', recordNumber(number));
    say(`ok ${number}`);
  }
}
const writer = await log.takeOver('id');
for (let number = Number(first); ; number++) {
  say(`try ${number}`);
  const transaction = await writer.begin();
  await transaction.append('one', recordNumber(number));
  await transaction.append('two', recordNumber(number));
  await transaction.commit();
  say(`ok ${number}`);
}
