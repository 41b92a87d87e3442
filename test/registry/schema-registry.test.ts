import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { type RegistrySettings, schemaRegistry } from '../../src/registry/schema-registry.ts';

/** Answers each request by the next of `turns`, and by the last of them from then on. */
let turns: ((response: ServerResponse) => void)[] = [];
let asked: { url: string; headers: IncomingHttpHeaders }[] = [];
const server = createServer((request, response) => {
  asked.push({ url: request.url!, headers: request.headers });
  (turns.length > 1 ? turns.shift() : turns[0])!(response);
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const answer = (status: number, body: unknown) => (response: ServerResponse) => {
  response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
};
const good = answer(200, { schema: '"string"' });
const silent = () => undefined;
const cut = (response: ServerResponse) => {
  response.writeHead(200, { 'content-length': '100' }).write('{"schema"');
  response.destroy();
};

let warnings: string[] = [];
const asking = (settings: RegistrySettings = {}) =>
  schemaRegistry(url, { environment: {}, onWarning: (line) => warnings.push(line), ...settings })(7);

beforeEach(() => {
  asked = [];
  warnings = [];
});

describe('a schema registry', () => {
  test("is asked by Confluent's API, at whatever path it has", async () => {
    turns = [good];
    expect(await schemaRegistry(`${url}/apis/ccompat/v7/`, { environment: {} })(7)).toBe('"string"');
    expect(asked).toMatchObject([{ url: '/apis/ccompat/v7/schemas/ids/7' }]);
    expect(asked[0]!.headers.authorization).toBeUndefined();
  });

  test('that does not know an id says so', async () => {
    turns = [answer(404, { error_code: 40403, message: 'Schema not found' })];
    expect(await asking()).toBe(null);
    expect(asked).toHaveLength(1);
  });

  test.each([
    ['an error of its own', answer(500, 'oops'), 'HTTP status 500'],
    ['too many requests', answer(429, ''), 'HTTP status 429'],
    ['no JSON', answer(200, '<html>'), 'its answer holds no schema'],
    ['JSON of another shape', answer(200, []), 'its answer holds no schema'],
    ['half an answer', cut, ''],
    ['nothing in time', silent, 'no answer within 1 s'],
  ])('that answers with %s is asked again, with one warning, and another when it answers', async (_, bad, why) => {
    turns = [bad, bad, good];
    expect(await asking({ timeout: bad === silent ? 1_000 : 30_000 })).toBe('"string"');
    expect(asked).toHaveLength(3);
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain(why);
    expect(warnings[1]).toContain('answers again');
  });

  test('that answers with none of these is an error in the end, and no bad record', async () => {
    turns = [answer(503, '')];
    await expect(asking({ patience: 600 })).rejects.toMatchObject({
      code: 'REGISTRY_FAILED',
      message: `the schema registry ${url} does not give schema 7: HTTP status 503`,
    });
    expect(asked.length).toBeGreaterThan(1);
  });

  test('that is not there is named with the reason', async () => {
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve));
    const { port } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));
    const failing = schemaRegistry(`http://127.0.0.1:${port}`, { environment: {}, patience: 0 })(7);
    await expect(failing).rejects.toMatchObject({ code: 'REGISTRY_FAILED', message: /ECONNREFUSED/ });
  });

  test.each([
    ['another path', 404, { detail: 'no resource' }, 'source.registry'],
    ['a method that is not its own', 405, '', 'source.registry'],
    ['no credentials', 401, '', 'REPULSOR_REGISTRY_TOKEN'],
    ['others than it wants', 403, '', 'REPULSOR_REGISTRY_TOKEN'],
  ])('that refuses %s is an error at once, with what to set', async (_, status, body, hint) => {
    turns = [answer(status, body)];
    await expect(asking()).rejects.toMatchObject({ code: 'REGISTRY_FAILED', hint: expect.stringContaining(hint) });
    expect(asked).toHaveLength(1);
  });

  test.each([
    ['of another format', { schema: '{}', schemaType: 'JSON' }],
    ['that refers to others', { schema: '"other.Name"', references: [{ name: 'other.Name' }] }],
  ])('that has a schema %s has none for our records', async (_, body) => {
    turns = [answer(200, body)];
    await expect(asking()).rejects.toMatchObject({ reason: 'incompatible_schema' });
    expect(asked).toHaveLength(1);
  });

  test('is let go when nobody waits for it any more', async () => {
    turns = [silent];
    const stop = new AbortController();
    const waiting = asking({ signal: stop.signal });
    await expect.poll(() => asked.length).toBe(1);
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    await expect(asking({ signal: stop.signal })).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('secrets of a schema registry', () => {
  const SECRET = 'geheim:#1';

  test('come from the environment, as a user or as a token, and are said to nobody else', async () => {
    turns = [answer(500, SECRET), answer(401, SECRET)];
    const user = { REPULSOR_REGISTRY_USERNAME: 'me', REPULSOR_REGISTRY_PASSWORD: SECRET };
    const error = (await asking({ environment: user }).catch((thrown: unknown) => thrown)) as Error;
    expect(asked[0]!.headers.authorization).toBe(`Basic ${Buffer.from(`me:${SECRET}`).toString('base64')}`);
    expect(error.message).toContain('401');
    turns = [good];
    await asking({ environment: { ...user, REPULSOR_REGISTRY_TOKEN: SECRET } });
    expect(asked.at(-1)!.headers.authorization).toBe(`Bearer ${SECRET}`);
    const said = [error.message, JSON.stringify(error), ...warnings].join();
    expect(said).not.toContain(SECRET);
    expect(said).not.toContain(Buffer.from(`me:${SECRET}`).toString('base64'));
  });

  test.each([
    'http://me:geheim@host:8081',
    'https://geheim@host',
    'https://host/path?key=geheim',
    'https://host#geheim',
    'http://host\\@geheim',
    'ftp://geheim',
    'http://',
    'http://ho st/geheim',
    'http://host:geheim',
  ])('are not in its URL: %s is refused without a word of it', (bad) => {
    let error: unknown;
    try {
      schemaRegistry(bad, { environment: {} });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'CONFIG' });
    expect(String(error)).not.toContain('geheim');
  });
});
