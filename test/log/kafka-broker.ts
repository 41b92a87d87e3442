import { afterAll, expect, test } from 'vitest';
import { type Broker, type BrokerOptions, startBroker } from '../../scripts/kafka.ts';
import { RepulsorError } from '../../src/errors.ts';

/**
 * The real broker of a test file, or why there is none. $REPULSOR_TEST_KAFKA names a running one to use instead. Where
 * Java or Maven is missing the file's Kafka tests are left out, which a test of that name shows; with CI=true it fails.
 */
export async function kafkaForTests(): Promise<string | null> {
  const running = process.env.REPULSOR_TEST_KAFKA;
  if (running) return running;
  const broker = await brokerForTests();
  if (broker === null) return null;
  afterAll(() => broker.kill());
  return broker.url;
}

/** A broker that the test may stop and kill; the caller ends it. */
export async function brokerForTests(options: BrokerOptions = {}): Promise<Broker | null> {
  try {
    return await startBroker(options);
  } catch (error) {
    if (!(error instanceof RepulsorError) || error.code !== 'ENGINE_UNAVAILABLE') throw error;
    const what = `NOT TESTED HERE: everything on Kafka (${error.message}). ${error.hint}`;
    if (process.env.CI === 'true') test(what, () => expect.fail('CI must have Java and Maven'));
    else test.skip(what);
    console.warn(what);
    return null;
  }
}
