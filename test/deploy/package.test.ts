import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { builtPackage } from '../built-package.ts';

/** What a user of the published package has: compiled JavaScript and the files that package.json names, nothing else. */
const run = promisify(execFile);
const project = join(import.meta.dirname, '..', '..');
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-package-'));
  await cp(await builtPackage(), folder, { recursive: true });
  await symlink(join(project, 'node_modules'), join(folder, 'node_modules'));
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

const repulsor = (...args: string[]) => run(process.execPath, ['bin/repulsor.js', ...args], { cwd: folder });

test('the command trains, and looks at the run', async () => {
  const args = ['--engine', 'cpu', '--steps', '1', '--run', 'run', '--log', 'file:log', '--set', 'sampling.perLabel=0'];
  const small = ['--set', 'model.width=8', '--set', 'model.depth=1', '--set', 'losses.repulsion=null'];
  const measured = ['--set', 'evaluation.everySteps=1', '--set', 'evaluation.images=8'];
  const { stdout } = await repulsor('train', 'pipelines/digits.ts', ...args, ...small, ...measured, '--json');
  const said = JSON.parse(stdout.trim().split('\n').at(-1)!);
  expect(said).toMatchObject({ steps: 1, engine: 'cpu', evaluation: { step: 1, effective_rank: expect.any(Number) } });
  expect((await repulsor('inspect', 'run')).stdout).toMatch(/^step +1$/m);
}, 120_000);

test('the trials of certify are processes of the package', async () => {
  const tiny = ['model.patch=14', 'model.width=8', 'model.depth=1', 'losses.repulsion=null', 'operators.batch=4'];
  const small = [...tiny, 'operators.shuffle=100'].flatMap((setting) => ['--set', setting]);
  const args = ['--engine', 'cpu', '--steps', '6', '--only', 'kill-before-commit', '--out', 'report.html', '--json'];
  const { stdout } = await repulsor('certify', 'pipelines/digits.ts', ...args, ...small);
  expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toMatchObject({ held: true, counts: { held: 2 } });
}, 600_000);

/** Runs modules one after another, each in a folder of its own, and tells what they printed. */
const RUNNER = `
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format } from 'node:util';
const printed = [];
const tell = console.log;
for (const name of process.argv.slice(2)) {
  const lines = [];
  console.log = (...values) => lines.push(format(...values));
  const folder = fileURLToPath(new URL('./in-' + name, import.meta.url));
  mkdirSync(folder);
  process.chdir(folder);
  await import('./' + name + '.js');
  printed.push(lines);
}
tell(JSON.stringify(printed));
`;

test('every example of docs/api.md fits the types, runs, and prints what it says', async () => {
  const text = await readFile(join(folder, 'docs/api.md'), 'utf8');
  const examples = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!);
  expect(examples.length).toBe(text.match(/^```/gm)!.length / 2);
  await mkdir(join(folder, 'examples'));
  for (const [i, code] of examples.entries()) await writeFile(join(folder, `examples/example-${i}.ts`), code);
  const { compilerOptions } = JSON.parse(await readFile(join(project, 'tsconfig.json'), 'utf8'));
  const options = { ...compilerOptions, noEmit: false, allowImportingTsExtensions: false, paths: {} };
  await writeFile(
    join(folder, 'examples/tsconfig.json'),
    JSON.stringify({ compilerOptions: options, include: ['*.ts'] }),
  );
  const checked = await run('npx', ['tsc', '-p', 'examples'], { cwd: folder }).catch(({ stdout }) => ({ stdout }));
  expect(checked.stdout).toBe('');
  await writeFile(join(folder, 'examples/run.mjs'), RUNNER);
  const names = examples.map((_, i) => `example-${i}`);
  const { stdout } = await run(process.execPath, ['examples/run.mjs', ...names], { cwd: folder });
  const printed = examples.map((code) => [...code.matchAll(/console\.log\(.* \/\/ (.*)$/gm)].map(([, line]) => line));
  expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toEqual(printed);
}, 120_000);

test('a program imports it by its name', async () => {
  await writeFile(
    join(folder, 'mine.mjs'),
    `import * as api from 'repulsor';\nconsole.log(Object.keys(api).join());\n`,
  );
  const names = (await run(process.execPath, ['mine.mjs'], { cwd: folder })).stdout.trim().split(',');
  const { definePipeline, ...rest } = await import('../../src/index.ts');
  expect(names.sort()).toEqual(['definePipeline', ...Object.keys(rest)].sort());
  expect(typeof definePipeline).toBe('function');
});
