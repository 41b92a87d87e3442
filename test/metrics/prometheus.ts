import { execFile, spawn } from 'node:child_process';
import { accessSync, constants, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { freePort } from '../../scripts/free-port.ts';

/** The project's own Prometheus configuration, which these tests run. */
export const PROMETHEUS_FOLDER = fileURLToPath(new URL('../../prometheus', import.meta.url));

/**
 * The path of a program of Prometheus, or null where it is not installed. Then tests skip, and say so; with CI=true
 * they fail instead: a check that silently never runs is no check.
 */
export function findTool(name: 'prometheus' | 'promtool'): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {}
  }
  const hint = `${name} is not on the PATH (Debian: apt install prometheus; macOS: brew install prometheus)`;
  if (process.env['CI'] === 'true') throw new Error(hint);
  console.warn(`SKIPPED: ${hint}`);
  return null;
}

/** Runs promtool; resolves to its exit status and all it printed. */
export function promtool(args: readonly string[], options: { stdin?: string; cwd?: string } = {}) {
  const tool = findTool('promtool');
  if (tool === null) throw new Error('promtool is missing');
  return new Promise<{ status: number; output: string }>((resolve) => {
    const child = execFile(tool, [...args], { cwd: options.cwd, timeout: 30_000 }, (error, stdout, stderr) => {
      resolve({
        status: error === null ? 0 : typeof error.code === 'number' ? error.code : 1,
        output: stdout + stderr,
      });
    });
    child.stdin?.end(options.stdin ?? '');
  });
}

export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Prometheus {
  readonly url: string;
  /** The value of an expression now (or at a Unix time), one entry a series. Throws what Prometheus says of a bad one. */
  query(expression: string, time?: number): Promise<Series[]>;
  /** Any other endpoint of /api/v1. */
  api(path: string): Promise<unknown>;
  /** Waits until a scrape that began after this call has succeeded. */
  scraped(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts a real Prometheus on a free port, with the project's configuration and rules, but every second and against
 * `target` ("host:port"). Resolves when it is ready. `stop` ends it and removes its data.
 */
export async function startPrometheus(target: string): Promise<Prometheus> {
  const program = findTool('prometheus');
  if (program === null) throw new Error('prometheus is missing');
  const folder = mkdtempSync(join(tmpdir(), 'repulsor-prometheus-'));
  cpSync(PROMETHEUS_FOLDER, folder, { recursive: true });
  const config = parse(readFileSync(join(folder, 'prometheus.yml'), 'utf8'));
  config.global = { ...config.global, scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' };
  writeFileSync(join(folder, 'prometheus.yml'), stringify(config));
  writeFileSync(join(folder, 'targets', 'local.yml'), stringify([{ targets: [target] }]));

  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(
    program,
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.on('data', (chunk) => {
    said = (said + chunk).slice(-20_000);
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));

  const api = async (path: string) => {
    const response = await fetch(`${url}/api/v1/${path}`);
    const body = (await response.json()) as { status: string; data: unknown; error?: string };
    if (body.status !== 'success') throw new Error(`Prometheus: ${body.error} (${path})`);
    return body.data;
  };
  const query = async (expression: string, time?: number) => {
    const at = time === undefined ? '' : `&time=${time}`;
    const data = (await api(`query?query=${encodeURIComponent(expression)}${at}`)) as {
      resultType: string;
      result: { metric: Record<string, string>; value: [number, string] }[];
    };
    if (data.resultType !== 'vector') throw new Error(`${expression} gives a ${data.resultType}`);
    return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  };
  const stop = async () => {
    if (child.exitCode === null) child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(late);
    rmSync(folder, { recursive: true, force: true });
  };
  const until = async (what: string, holds: () => Promise<boolean>) => {
    const deadline = performance.now() + 30_000;
    while (!(await holds().catch(() => false))) {
      if (child.exitCode !== null || performance.now() > deadline) {
        await stop();
        throw new Error(`${what}: did not happen. Prometheus said:\n${said}`);
      }
      await sleep(100);
    }
  };
  const scraped = () => {
    const since = Date.now();
    return until(`a scrape of ${target}`, async () => {
      const { activeTargets } = (await api('targets?state=active')) as {
        activeTargets: { health: string; lastScrape: string; lastScrapeDuration: number }[];
      };
      return activeTargets.some(({ health, lastScrape }) => health === 'up' && Date.parse(lastScrape) > since);
    });
  };
  await until('getting ready', async () => (await fetch(`${url}/-/ready`)).ok);
  return { url, query, api, scraped, stop };
}
