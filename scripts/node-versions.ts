/**
 * Whether the whole runs on other versions of Node, and gives the same bits there:
 *
 *     npm run test:node -- 22 24             trains, resumes, replays on native and wasm
 *     npm run test:node -- 22 24 --tests     and a cross-section of the tests
 *
 * One run goes from version to version, each going on from the commit of the one before; each replays all of it. The
 * last line is one JSON object; exit status 1 where a version failed, or where a bit differs.
 */
import { type ExecFileException, execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { nodeBinary } from './node-binary.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const USAGE = 'Usage: npm run test:node -- VERSION... [--tests]      such as: npm run test:node -- 22 24';

/** What stands on Node itself: FFI, threads, files and locks, sockets, streams, child processes, loaders. */
const CROSS_SECTION = [
  'test/checkpoint/background-hash.test.ts',
  'test/checkpoint/commit-file.test.ts',
  'test/cli/load-pipeline.test.ts',
  'test/codec',
  'test/engine/choose.test.ts',
  'test/engine/program.test.ts',
  'test/log/contract.test.ts',
  'test/log/file-lock.test.ts',
  'test/metrics/server.test.ts',
  'test/random',
  'test/sampling/sample-file.test.ts',
];

const ENGINES = ['native', 'wasm'] as const;
const STEPS_EACH = 2;
/** A step that takes wasm no second, with every part of the real one. */
const SMALL = ['model.patch=14', 'model.width=16', 'model.depth=2', 'operators.batch=8', 'operators.shuffle=200'];
/** The learning rate must not depend on how many steps there will be: every version is told another number. */
const SETTINGS = [...SMALL, 'losses.repulsion.queue=64', 'optimizer.decayShare=0', 'sampling.perLabel=0'];

interface Ended {
  readonly status: number;
  readonly output: string;
  /** What its last line of standard output says. */
  readonly result: Record<string, unknown>;
}

/** Runs a program of the project under that Node; whatever it starts by the name `node` is that one too. */
function under(node: string, args: readonly string[]): Promise<Ended> {
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env['PATH'] ?? ''}` };
  return new Promise((resolve) => {
    execFile(node, args, { cwd: ROOT, env, maxBuffer: 64 << 20 }, (error: ExecFileException | null, stdout, stderr) => {
      const last = stdout.trim().split('\n').at(-1) ?? '';
      const result = last.startsWith('{') ? (JSON.parse(last) as Record<string, unknown>) : {};
      resolve({ status: error === null ? 0 : Number(error.code ?? 1), output: `${stdout}${stderr}`, result });
    });
  });
}

/** The versions in turn, the run of each engine going from one to the next. What was wrong, in words. */
async function tryVersions(nodes: ReadonlyMap<string, string>, scratch: string, tests: boolean): Promise<string[]> {
  const wrong: string[] = [];
  let steps = 0;
  for (const [version, node] of nodes) {
    const begin = performance.now();
    const demand = async (what: string, args: readonly string[], fits: (result: Ended['result']) => boolean) => {
      const { status, output, result } = await under(node, args);
      if (status === 0 && fits(result)) return;
      wrong.push(`Node ${version}: ${what}: exit status ${status}`);
      console.error(`Node ${version}, ${what}:\n${output}`);
    };
    await demand('setup', ['setup.js', '--quiet'], () => true);
    steps += STEPS_EACH;
    for (const engine of ENGINES) {
      const run = join(scratch, engine);
      const own = ['--engine', engine, '--run', run, '--log', `file:${run}-log`, '--steps', `${steps}`];
      const settings = SETTINGS.flatMap((setting) => ['--set', setting]);
      const train = ['bin/repulsor.js', 'train', 'pipelines/digits.ts', ...own, ...settings, '--json'];
      await demand(`train on ${engine}`, train, (result) => result['steps'] === steps);
      const replay = ['bin/repulsor.js', 'replay', run, '--json'];
      await demand(`replay on ${engine}`, replay, (result) => result['diverged'] === null && result['to'] === steps);
    }
    if (tests) await demand('tests', ['node_modules/vitest/vitest.mjs', 'run', ...CROSS_SECTION], () => true);
    console.error(`Node ${version}: ${((performance.now() - begin) / 1000).toFixed(0)} s`);
  }
  return wrong;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { tests: { type: 'boolean' }, help: { type: 'boolean' } },
    allowPositionals: true,
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  if (positionals.length === 0) throw new TypeError('name one version of Node, or several');
  // Every run begins on the Node that runs this.
  const nodes = new Map([[process.versions.node, process.execPath]]);
  for (const version of positionals) {
    const node = await nodeBinary(version);
    nodes.set((await under(node, ['--version'])).output.trim().replace(/^v/, ''), node);
  }
  const scratch = await mkdtemp(join(tmpdir(), 'repulsor-node-'));
  try {
    const wrong = await tryVersions(nodes, scratch, values.tests ?? false);
    for (const line of wrong) console.error(`FAILED ${line}`);
    console.log(JSON.stringify({ ok: wrong.length === 0, node_versions: [...nodes.keys()], wrong }));
    process.exitCode = wrong.length === 0 ? 0 : 1;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  if (error instanceof TypeError) console.error(USAGE);
  process.exitCode = error instanceof TypeError ? 2 : 1;
});
