import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DOCUMENTS = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8');

test.each(DOCUMENTS)('every relative link and picture of %s is there', (name) => {
  const targets = [...read(name).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
  const missing = targets.filter(
    (target) => !/^[a-z]+:/.test(target) && !existsSync(join(ROOT, dirname(name), target.split('#')[0])),
  );
  expect(missing).toEqual([]);
});

test.each(DOCUMENTS)('every source and test that %s names is there', (name) => {
  // The table of docs/reliability.md leaves `test/` out.
  const named = [...read(name).matchAll(/`((?:[a-z]+\/)+[\w.-]+\.(?:ts|avsc))`/g)].map(([, file]) => file);
  const missing = named.filter((file) => !['', 'src', 'test'].some((folder) => existsSync(join(ROOT, folder, file))));
  expect(missing).toEqual([]);
});

const COMMANDS = [
  'ingest',
  'train',
  'sweep',
  'replay',
  'sample',
  'evaluate',
  'import',
  'export',
  'inspect',
  'log',
  'certify',
  'doctor',
];

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`);
}

test('every command that a document, a hint or a pipeline names is one', () => {
  const named = [...DOCUMENTS, ...sources('src'), ...sources('pipelines')].flatMap((name) =>
    [...read(name).matchAll(/(?:npx |`)repulsor ([a-z]+)/g)].map(([, command]) => ({ name, command })),
  );
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter(({ command }) => !COMMANDS.includes(command))).toEqual([]);
});
