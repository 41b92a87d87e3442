import { expect, test } from 'vitest';
import { isGood, lineOf, runCampaign, summary } from './campaign.ts';
import { whyNoKafka } from './kafka-ground.ts';
import { planned } from './plan.ts';

/** CI's share of the campaign that `npm run test:faults` runs at night: the first 60 of the same faults. */
const SHARE = 60;
const SEED = Number(process.env['REPULSOR_TEST_SEED'] ?? 1);

const missing = await whyNoKafka();
const numbers = Array.from({ length: SHARE }, (_, i) => i + 1).filter(
  (number) => missing === null || planned(SEED, number).kind.log !== 'kafka',
);
if (missing !== null) {
  const what = `NOT TRIED HERE: ${SHARE - numbers.length} faults on Kafka (${missing})`;
  if (process.env['CI'] === 'true') test(what, () => expect.fail('CI must have Java, Maven and Go'));
  else test.skip(what);
  console.warn(what);
}

test(`${numbers.length} faults: each run recovers to the uninterrupted one, bit for bit, or is refused with status 4`, {
  timeout: 1_800_000,
}, async () => {
  const tried = await runCampaign({ seed: SEED, numbers, onTried: () => {}, say: console.warn });
  expect(tried.filter((fault) => !isGood(fault)).map(lineOf)).toEqual([]);
  expect(tried).toHaveLength(numbers.length);
  console.log(summary(tried));
});
