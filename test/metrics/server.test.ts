import { connect, createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { freePort } from '../../scripts/free-port.ts';
import { RepulsorError } from '../../src/errors.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import {
  DEFAULT_METRICS_PORT,
  type MetricsServer,
  type MetricsServerOptions,
  startMetricsServer,
} from '../../src/metrics/server.ts';
import { stepReport } from './reports.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function serve(options: Partial<MetricsServerOptions> = { port: 0 }): Promise<MetricsServer> {
  const metrics = createMetrics({ run: 'digits', engine: { name: 'cpu', device: 'cpu', version: 'tfjs' } });
  metrics.onStep(stepReport(3));
  const server = await startMetricsServer({ registry: metrics.registry, ...options });
  closing.push(() => server.close());
  return server;
}

/** Another program on a port. Null when the port was held already. */
async function occupy(port: number): Promise<Server | null> {
  const server = createServer();
  const held = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => resolve(true));
  });
  if (!held) return null;
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  return server;
}

describe('the metrics server answers', () => {
  test('/metrics in plain text, and in OpenMetrics to those who prefer it', async () => {
    const { url } = await serve();
    const plain = await fetch(url);
    expect(plain.status).toBe(200);
    expect(plain.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await plain.text()).toContain('\nrepulsor_step{run="digits"} 3\n');

    const open = await fetch(url, { headers: { Accept: 'application/openmetrics-text;version=1.0.0' } });
    expect(open.headers.get('content-type')).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
    expect(open.headers.get('vary')).toBe('Accept');
    expect(await open.text()).toMatch(/\n# EOF\n$/);
  });

  test('/healthz, with or without a query', async () => {
    const { url } = await serve();
    const response = await fetch(new URL('/healthz?probe=1', url));
    expect([response.status, await response.text()]).toEqual([200, 'ok\n']);
  });

  test('HEAD like GET without a body, other methods with 405, other paths with 404', async () => {
    const { url } = await serve();
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect(Number(head.headers.get('content-length'))).toBeGreaterThan(1000);
    const post = await fetch(url, { method: 'POST', body: 'x' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    for (const path of ['/', '/metrics/', '/%', '/../metrics2', '//metrics']) {
      expect((await fetch(new URL(url).origin + path)).status, path).toBe(404);
    }
  });
});

describe('the port', () => {
  test('is on 127.0.0.1 alone by default, and 0 gives the real one', async () => {
    const { host, port, url } = await serve();
    expect(host).toBe('127.0.0.1');
    expect(port).toBeGreaterThan(0);
    expect(url).toBe(`http://127.0.0.1:${port}/metrics`);
    // Another address of the loopback network reaches whoever listens on all of them, but not us.
    await expect(fetch(`http://127.0.0.2:${port}/metrics`)).rejects.toThrow();
  });

  const noIPv6 = Object.values(networkInterfaces()).every((list) => list?.every(({ address }) => address !== '::1'));
  if (noIPv6) console.warn('SKIPPED: no IPv6 loopback here');
  test.skipIf(noIPv6)('is in brackets in an IPv6 URL, which works', async () => {
    const { url } = await serve({ host: '::1', port: 0 });
    expect(url).toMatch(/^http:\/\/\[::1\]:\d+\/metrics$/);
    expect((await fetch(url)).status).toBe(200);
  });

  test('that was asked for and is taken is an error that says what to do', async () => {
    const port = await freePort();
    expect(await occupy(port)).not.toBeNull();
    const error = await serve({ port }).then(
      () => null,
      (reason) => reason,
    );
    expect(error).toBeInstanceOf(RepulsorError);
    expect(error).toMatchObject({ code: 'METRICS_UNAVAILABLE', exitStatus: 1 });
    expect(error.message).toBe(`metrics cannot be served on 127.0.0.1:${port}: the port is taken`);
    expect(error.hint).toMatch(/another port/);
  });

  test('that was not asked for and is taken gives way to a free one, out loud', async () => {
    await occupy(DEFAULT_METRICS_PORT); // or somebody else holds it already: just as well
    const notes: string[] = [];
    const { port, url } = await serve({ note: (line) => notes.push(line) });
    expect(port).not.toBe(DEFAULT_METRICS_PORT);
    expect(notes).toEqual([`port 9464 is taken: metrics are at ${url}`]);
    expect((await fetch(url)).status).toBe(200);
  });

  test('of a host that is not ours is an error, not a fall to another', async () => {
    await expect(serve({ host: '192.0.2.1' })).rejects.toMatchObject({ code: 'METRICS_UNAVAILABLE' });
  });
});

describe('closing', () => {
  test('frees the port at once, though kept-alive connections are open', async () => {
    const server = await serve();
    await (await fetch(server.url)).text();
    const began = performance.now();
    await server.close();
    expect(performance.now() - began).toBeLessThan(300);
    const again = await serve({ port: server.port });
    expect(again.port).toBe(server.port);
  });

  test('does not wait for clients that are silent, half through a request, or do not read', async () => {
    const server = await serve();
    const sockets = [
      '',
      'GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ',
      'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2000),
    ];
    const ended = sockets.map(async (bytes) => {
      const socket = connect(server.port, '127.0.0.1');
      socket.pause();
      socket.on('error', () => {});
      await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
      socket.write(bytes);
      return new Promise((resolve) => {
        socket.once('close', resolve);
        setTimeout(() => socket.resume(), 1500);
      });
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    const began = performance.now();
    await server.close();
    expect(performance.now() - began).toBeLessThan(1000);
    await Promise.all(ended);
  });

  test('twice is no error', async () => {
    const server = await serve();
    await Promise.all([server.close(), server.close()]);
  });
});
