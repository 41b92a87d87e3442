import { afterAll, expect, test } from 'vitest';
import { type S3Server, type S3ServerOptions, startS3Server } from '../../scripts/versitygw.ts';
import { RepulsorError } from '../../src/errors.ts';

/**
 * A real S3 server for a test file, whose endpoint and credentials stand in the environment from then on; or null where Go
 * is missing: the file's tests on S3 are left out then, which a test of that name shows; with CI=true it fails.
 */
export async function s3ForTests(options: S3ServerOptions = {}): Promise<S3Server | null> {
  try {
    const server = await startS3Server(options);
    Object.assign(process.env, server.environment);
    afterAll(() => server.kill());
    return server;
  } catch (error) {
    if (!(error instanceof RepulsorError) || error.code !== 'ENGINE_UNAVAILABLE') throw error;
    const what = `NOT TESTED HERE: everything on S3 (${error.message}). ${error.hint}`;
    if (process.env['CI'] === 'true') test(what, () => expect.fail('CI must have Go'));
    else test.skip(what);
    console.warn(what);
    return null;
  }
}
