import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RepulsorError } from '../src/errors.ts';
import { type ChildServer, childServer } from './child-server.ts';
import { freePort } from './free-port.ts';
import { goTool, VERSITYGW } from './go-tool.ts';
import { untilAnswers } from './until-answers.ts';

export interface S3ServerOptions {
  /** On 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** Where buckets lie, as folders. Kept; a server started on it again goes on. Default: a temporary folder, removed at the end. */
  readonly dir?: string;
  /** Made at the start. */
  readonly bucket?: string;
  readonly say?: (line: string) => void;
}

export interface S3Server extends ChildServer {
  readonly endpoint: string;
  readonly port: number;
  readonly bucket: string;
  readonly dir: string;
  /** What the AWS SDK and tools read: endpoint, credentials, region. */
  readonly environment: Readonly<Record<string, string>>;
  /** The requests answered so far, as the server's access log has them: "PutObject 200", ... */
  requests(): Promise<string[]>;
}

/**
 * Starts a real S3 server on a folder (Versity's gateway). Resolves once it answers.
 * @throws RepulsorError ENGINE_UNAVAILABLE when Go is missing, STORE_FAILED when it does not come up
 */
export async function startS3Server(options: S3ServerOptions = {}): Promise<S3Server> {
  const program = await goTool(VERSITYGW, options.say);
  // The gateway refuses relative paths.
  const dir = resolve(options.dir ?? (await mkdtemp(join(tmpdir(), 'repulsor-s3-'))));
  const bucket = options.bucket ?? 'repulsor';
  const data = join(dir, 'buckets');
  // A folder beside the buckets holds what the gateway would else keep in extended attributes, which not every disk has.
  const attributes = join(dir, 'attributes');
  const accessLog = join(dir, 'access.log');
  await mkdir(join(data, bucket), { recursive: true });
  await mkdir(attributes, { recursive: true });
  const port = options.port ?? (await freePort());
  const endpoint = `http://127.0.0.1:${port}`;
  const secret = randomBytes(18).toString('hex');
  const environment = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: 'repulsor-test',
    AWS_SECRET_ACCESS_KEY: secret,
    AWS_REGION: 'us-east-1',
  };
  const child = spawn(
    program,
    ['--port', `127.0.0.1:${port}`, '--quiet', '--access-log', accessLog, 'posix', '--sidecar', attributes, data],
    {
      env: { ...process.env, ROOT_ACCESS_KEY: environment.AWS_ACCESS_KEY_ID, ROOT_SECRET_KEY: secret },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-2_000);
  });
  const server = childServer(child, options.dir === undefined ? dir : undefined);
  if (!(await untilAnswers(() => answers(endpoint), server.ended))) {
    await server.kill();
    throw new RepulsorError('STORE_FAILED', `the S3 server does not answer at ${endpoint}: ${stderr.trim()}`, {
      hint: 'See whether the port is free, and whether the program in the cache runs by hand.',
    });
  }
  return {
    endpoint,
    port,
    bucket,
    dir,
    environment,
    ...server,
    async requests() {
      const lines = (await readFile(accessLog, 'utf8').catch(() => '')).split('\n');
      return lines.flatMap((line) => {
        const match = /\bs3_(\w+) \S+ \S+ (\d+) /.exec(line);
        return match === null ? [] : [`${match[1]} ${match[2]}`];
      });
    },
  };
}

const answers = (endpoint: string): Promise<boolean> =>
  fetch(endpoint).then(
    () => true,
    () => false,
  );

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const server = await startS3Server({ port: 7070, dir: join('runs', 's3'), say: console.log });
  console.log(`an S3 server on ${server.endpoint} with the bucket ${server.bucket}; Ctrl-C ends it. For the AWS SDK:`);
  for (const [name, value] of Object.entries(server.environment)) console.log(`export ${name}=${value}`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void server.stop());
  await server.ended;
}
