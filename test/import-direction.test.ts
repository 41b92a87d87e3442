import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SRC = join(ROOT, 'src');

/** A folder of src, or a file that stands in it alone, imports only from those before it. */
const ORDER = [
  'errors',
  'version',
  'codec',
  'files',
  'log',
  'registry',
  'random',
  'onnx',
  'autoencoder',
  'operators',
  'ingest',
  'engine',
  'model',
  'transport',
  'memory-bank',
  'losses',
  'optim',
  'statistics',
  'checkpoint',
  'lineage',
  'trainer',
  'weights',
  'replay',
  'sampling',
  'evaluation',
  'metrics',
  'html',
  'certify',
  'sweep',
  'index',
  'cli',
];

/** Plain types: what a step and a commit tell. Whoever tells, and whoever listens, may import it. */
const FREE = 'trainer/report.ts';

/** May be loaded wherever model code stands: ops and gradients, no way to run them. */
const TENSORFLOW_OPS = '@tensorflow/tfjs-core';

interface Import {
  readonly from: string;
  /** A path in src, or the name of a package. */
  readonly to: string;
  readonly package: boolean;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(SRC, file), 'utf8');
  const named = /(?:\bfrom\s+|\bimport\s*\(\s*|\bimport\s+|\brequire\s*\(\s*|\bresolve\s*\(\s*)['"]([^'"]+)['"]/g;
  return [...text.matchAll(named)].map(([, to]) => ({
    from: file,
    to: to!.startsWith('.') ? relative(SRC, join(SRC, dirname(file), to!)) : to!,
    package: !to!.startsWith('.'),
  }));
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const imports = files.flatMap(importsOf);
const unitOf = (path: string) => path.split('/')[0]!.replace(/\.ts$/, '');
const shown = ({ from, to }: Import) => `src/${from} imports ${to}`;

test('every folder of src has its place in the order', () => {
  expect([...new Set(files.map(unitOf))].filter((unit) => !ORDER.includes(unit))).toEqual([]);
  expect(imports.length).toBeGreaterThan(300);
});

test('a folder imports only from the folders above it', () => {
  const inside = imports.filter((found) => !found.package && found.to !== FREE);
  const upwards = inside.filter(({ from, to }) => ORDER.indexOf(unitOf(to)) > ORDER.indexOf(unitOf(from)));
  expect(upwards.map(shown)).toEqual([]);
});

test('what is free to import from anywhere is types alone', () => {
  expect(importsOf(FREE)).toEqual([]);
  expect(readFileSync(join(SRC, FREE), 'utf8').match(/^export (?!interface )/gm)).toBe(null);
});

test('no file of src imports from outside of it', () => {
  expect(imports.filter(({ to }) => to.startsWith('..')).map(shown)).toEqual([]);
});

test('only the engine loads what runs TensorFlow', () => {
  const native = imports.filter(
    (found) => found.package && /^@tensorflow\/|^koffi$/.test(found.to) && found.to !== TENSORFLOW_OPS,
  );
  expect(native.length).toBeGreaterThan(0);
  expect(native.filter(({ from }) => unitOf(from) !== 'engine').map(shown)).toEqual([]);
});

test('only the Kafka log knows the Kafka client', () => {
  const kafka = imports.filter(({ to }) => to.startsWith('kafkajs'));
  expect(kafka.length).toBeGreaterThan(0);
  expect(kafka.filter(({ from }) => !from.startsWith('log/kafka/')).map(shown)).toEqual([]);
});

test('only the S3 client knows the AWS SDK', () => {
  const aws = imports.filter(({ to }) => to.startsWith('@aws-sdk/'));
  expect(aws.length).toBeGreaterThan(0);
  expect(aws.filter(({ from }) => from !== 'checkpoint/s3/s3-client.ts').map(shown)).toEqual([]);
});

test('only one file knows the ONNX runtime', () => {
  const onnx = imports.filter(({ to }) => to.startsWith('onnxruntime'));
  expect(onnx.length).toBeGreaterThan(0);
  expect(onnx.filter(({ from }) => from !== 'onnx/onnx-model.ts').map(shown)).toEqual([]);
});

test('only one file knows the linear algebra library', () => {
  const algebra = imports.filter(({ to }) => to === 'ml-matrix');
  expect(algebra.map(({ from }) => from)).toEqual(['statistics/symmetric-matrix.ts']);
});

/** Pictures and the like hold no text to look at; this file holds what it looks for. */
const SKIPPED =
  /\.(png|jpe?g|webp|ico|woff2?|gif|parquet|npz?|safetensors)$|^test\/import-direction\.test\.ts$|^package-lock\.json$/;

test('no file of the project names a folder beside the clone, or a path of one machine', () => {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: ROOT });
  const all = listed
    .toString('utf8')
    .split('\n')
    .filter((file) => file !== '' && !SKIPPED.test(file));
  expect(all.length).toBeGreaterThan(200);
  // A user's home, a CI machine's disk, or a checkout's neighbour.
  const foreign = /\.\.\/shared\b|(?<![\w.~-])\/(?:home|root|Users|work|mnt|private|Volumes)\/[\w.-]/;
  const found = all.flatMap((file) => {
    const lines = readText(join(ROOT, file)).split('\n');
    return lines.flatMap((line, i) => (foreign.test(line) ? [`${file}:${i + 1}: ${line.trim().slice(0, 120)}`] : []));
  });
  expect(found).toEqual([]);
});

/** Empty for what was removed but not committed yet. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
