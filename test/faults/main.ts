/**
 * The fault campaign: `npm run test:faults -- [--count 500] [--seed 1] [--only NUMBER] [--json]`. Each fault is printed with
 * its number, verdict, kind and moment; the last line sums up. Exit 1 when anything failed.
 */

import { parseArgs } from 'node:util';
import { EXIT } from '../../src/errors.ts';
import { isGood, lineOf, runCampaign, summary, type TriedFault, table } from './campaign.ts';

const USAGE = `Usage: npm run test:faults -- [--count N] [--seed N] [--only NUMBER] [--table] [--json]

  --count N       how many faults (default 500): those numbered 1 to N
  --seed N        of all choices (default 1)
  --only NUMBER   this fault alone; may be given more than once
  --table         prints what was tried, by kind and log, before the last line
  --json          prints one JSON object as the last line instead`;

function wholeNumber(text: string, name: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new TypeError(`--${name} ${text} is no whole number above 0`);
  return value;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '500' },
      seed: { type: 'string', default: '1' },
      only: { type: 'string', multiple: true },
      table: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const seed = wholeNumber(values.seed, 'seed');
  const count = wholeNumber(values.count, 'count');
  const numbers = values.only?.map((n) => wholeNumber(n, 'only')) ?? Array.from({ length: count }, (_, i) => i + 1);
  const soFar: TriedFault[] = [];
  // The brokers, mounts and trainers of a campaign end with it.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      console.log(`interrupted; so far: ${summary(soFar)}`);
      process.exit(EXIT.interrupted);
    });
  const tried = await runCampaign({
    seed,
    numbers,
    onTried: (fault) => {
      soFar.push(fault);
      (values.json ? console.error : console.log)(lineOf(fault));
    },
    say: (line) => console.error(line),
  });
  if (values.table) (values.json ? console.error : console.log)(`\n${table(tried)}\n`);
  const failed = tried.filter((fault) => !isGood(fault));
  for (const fault of failed) console.error(`again: npm run test:faults -- --seed ${seed} --only ${fault.number}`);
  console.log(values.json ? JSON.stringify({ seed, summary: summary(tried), faults: tried }) : summary(tried));
  return failed.length === 0 ? 0 : 1;
}

main().then(
  (status) => process.exit(status),
  (error: unknown) => {
    const usage = error instanceof TypeError;
    console.error(error instanceof Error && !usage ? error.stack : (error as Error).message);
    if (usage) console.error(USAGE);
    process.exit(usage ? 2 : 1);
  },
);
