import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { RepulsorError } from '../errors.ts';
import { OPEN_METRICS_TYPE, openMetrics, PLAIN_TEXT_TYPE, prefersOpenMetrics } from './open-metrics.ts';

const DEFAULT_METRICS_HOST = '127.0.0.1';
export const DEFAULT_METRICS_PORT = 9464;

/** How long a scrape that is under way may still take when the server closes. */
const CLOSE_GRACE_MS = 500;

export interface MetricsServerOptions {
  readonly registry: Registry;
  /** Default 127.0.0.1: the numbers are for this machine alone until someone decides otherwise. */
  readonly host?: string;
  /** 0 takes a free port. Absent: 9464, or a free one when that is taken, which `note` then tells. */
  readonly port?: number;
  /** Gets one line for people when another port than the usual one had to be taken. */
  readonly note?: (line: string) => void;
}

export interface MetricsServer {
  readonly host: string;
  /** The port really bound. */
  readonly port: number;
  /** Of the metrics page. */
  readonly url: string;
  /** Resolves when the port is free again, within a second, whatever clients do. */
  close(): Promise<void>;
}

/**
 * Serves /metrics (plain text or OpenMetrics, as the scraper prefers) and /healthz ("ok" while the event loop turns).
 * @throws RepulsorError METRICS_UNAVAILABLE when the port asked for is taken or may not be bound.
 */
export async function startMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const host = options.host ?? DEFAULT_METRICS_HOST;
  if (options.port !== undefined) return await listen(options.registry, host, options.port);
  try {
    return await listen(options.registry, host, DEFAULT_METRICS_PORT);
  } catch (error) {
    if (!(error instanceof RepulsorError && isTaken(error.cause))) throw error;
    const server = await listen(options.registry, host, 0);
    options.note?.(`port ${DEFAULT_METRICS_PORT} is taken: metrics are at ${server.url}`);
    return server;
  }
}

async function listen(registry: Registry, host: string, port: number): Promise<MetricsServer> {
  // Limits for clients that connect and then say nothing, or say it slowly.
  const server = createServer(
    { headersTimeout: 5_000, requestTimeout: 5_000, keepAliveTimeout: 60_000, connectionsCheckingInterval: 1_000 },
    (request, response) => void answer(registry, request, response),
  );
  server.maxConnections = 64;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, exclusive: true }, () => resolve());
    });
  } catch (cause) {
    throw unavailable(host, port, cause);
  }
  // Out of file handles, say: a scrape is lost, the training is not.
  server.on('error', () => {});
  const bound = (server.address() as AddressInfo).port;
  return {
    host,
    port: bound,
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}/metrics`,
    close: () =>
      new Promise((resolve) => {
        const grace = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
        // Idle connections it ends at once by itself.
        server.close(() => {
          clearTimeout(grace);
          resolve();
        });
      }),
  };
}

async function answer(registry: Registry, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0];
  const send = (status: number, type: string, body: string, headers: Record<string, string> = {}) => {
    response.writeHead(status, {
      'Content-Type': type,
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      ...headers,
    });
    response.end(body); // Node sends no body in answer to HEAD
  };
  const text = 'text/plain; charset=utf-8';
  if (path !== '/metrics' && path !== '/healthz')
    return send(404, text, 'Not found. Here are /metrics and /healthz.\n');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return send(405, text, 'Only GET and HEAD.\n', { Allow: 'GET, HEAD' });
  }
  if (path === '/healthz') return send(200, text, 'ok\n');
  try {
    if (prefersOpenMetrics(request.headers.accept))
      send(200, OPEN_METRICS_TYPE, await openMetrics(registry), { Vary: 'Accept' });
    else send(200, PLAIN_TEXT_TYPE, await registry.metrics(), { Vary: 'Accept' });
  } catch {
    send(500, text, 'The metrics could not be collected.\n');
  }
}

function unavailable(host: string, port: number, cause: unknown): RepulsorError {
  const reason = isTaken(cause) ? 'the port is taken' : cause instanceof Error ? cause.message : String(cause);
  return new RepulsorError('METRICS_UNAVAILABLE', `metrics cannot be served on ${host}:${port}: ${reason}`, {
    hint: 'Choose another port (0 takes a free one), or end the program that holds this one.',
    cause,
  });
}

function isTaken(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE';
}
