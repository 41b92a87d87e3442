import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { KAFKA_VERSION } from '../scripts/kafka/jars.ts';
import type { Benchmark, BenchmarkResult, Goal } from './benchmark.ts';
import { BENCHMARKS } from './benchmarks.ts';
import { describeMachine, type Machine } from './machine.ts';
import { goalTable, markdownTable, short } from './table.ts';

interface Options {
  readonly quick: boolean;
  readonly out: string;
  readonly peers: boolean;
  readonly kafka: boolean;
}

interface Part {
  readonly name: string;
  readonly flags: readonly string[];
  /** In a tenth of the time: to see that everything runs, not to quote. */
  readonly quick: readonly string[];
}

export const PARTS: readonly Part[] = [
  {
    name: 'train-step',
    flags: ['--rounds', '5'],
    quick: ['--shape', 'a,c', '--rounds', '2', '--turn-seconds', '1', '--no-compiled-peers'],
  },
  { name: 'scaling', flags: ['--rounds', '3'], quick: ['--axis', 'K', '--rounds', '1', '--turn-seconds', '1'] },
  { name: 'pipeline', flags: ['--rounds', '5'], quick: ['--images', '10000', '--pngs', '2000', '--rounds', '2'] },
  {
    name: 'commit',
    flags: ['--size', '100MB,1GB', '--commits', '2'],
    quick: ['--size', '10MB', '--commits', '1', '--rounds', '1'],
  },
  { name: 'lineage', flags: ['--steps', '100000'], quick: ['--steps', '5000', '--queries', '2'] },
];

export const benchmark: Benchmark = {
  summary: 'all of them, some smaller than by themselves, into bench/RESULTS.md; about 25 minutes',
  options: (command) =>
    command
      .option('--quick', 'in about five minutes: to see that everything runs', false)
      .option('--out <file>', 'where the results are written', fileURLToPath(new URL('RESULTS.md', import.meta.url)))
      .option('--no-peers', 'where the peers are not installed (bench/peers/setup)')
      .option('--no-kafka', 'without a broker (Java 17 and Maven)')
      .addHelpText('after', '\nExample:\n  npm run bench -- all --quick --no-peers --no-kafka --out /tmp/results.md'),
  run: (options, note) => measure(options as unknown as Options, note),
};

async function measure(options: Options, note: (line: string) => void): Promise<BenchmarkResult> {
  const machine = describeMachine();
  const sections: string[] = [await head(machine, options)];
  const figures: Record<string, unknown> = {};
  const goals: Record<string, Goal> = {};
  for (const part of PARTS) {
    const flags = flagsOf(part, options);
    const command = ['npm run bench --', part.name, ...flags].join(' ');
    note(`${command} ...`);
    const begun = performance.now();
    const result = await run(part.name, flags, (line) => note(`${part.name}: ${line}`));
    figures[part.name] = result.figures;
    Object.assign(goals, result.goals);
    sections.push(section(part.name, command, (performance.now() - begun) / 60_000, result));
    // After each, so that a run that is ended has what it measured.
    await writeFile(options.out, `${sections.join('\n\n')}\n`);
  }
  note(`written: ${options.out}`);
  return { figures, goals, tables: [] };
}

function flagsOf({ name, flags, quick }: Part, options: Options): readonly string[] {
  const peered = name === 'train-step' || name === 'pipeline';
  return [
    ...(options.quick ? quick : flags),
    ...(peered && !options.peers ? ['--no-peers'] : []),
    ...(name === 'pipeline' && !options.kafka ? ['--no-kafka'] : []),
  ];
}

/** As run.ts would, with the same defaults. */
async function run(name: string, flags: readonly string[], note: (line: string) => void): Promise<BenchmarkResult> {
  const { benchmark: part } = await BENCHMARKS.get(name)!();
  const command = part.options(new Command(name).exitOverride());
  command.parse([...flags], { from: 'user' });
  return part.run(command.opts(), note);
}

async function head(machine: Machine, { quick }: Options): Promise<string> {
  const { cpu, cores, memory_bytes, system, load, node, versions } = machine;
  const pinned = await readFile(new URL('peers/requirements.txt', import.meta.url), 'utf8');
  const peers = pinned.trim().split('\n').join(', ').replaceAll('==', ' ');
  const ours = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const warnings = [
    ...(quick ? ['**A quick run: few turns, not to be quoted.**'] : []),
    ...(load > 0.5
      ? [`**The machine was not quiet: its load was ${load.toFixed(1)} before the first measurement.**`]
      : []),
  ];
  return [
    '# Results',
    `Written by \`npm run bench -- all${quick ? ' --quick' : ''}\` on ${new Date().toISOString().slice(0, 10)}, of commit ${commit()}. What is measured, and how: [README.md](README.md).`,
    ...warnings,
    `${cpu}, ${cores} cores, ${short(memory_bytes / 2 ** 30)} GiB, ${system}, Node ${node}, load ${load.toFixed(1)}. ${ours.join(', ')}; peers: ${peers}, Kafka ${KAFKA_VERSION}.`,
  ].join('\n\n');
}

function commit(): string {
  try {
    const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8', stdio: 'pipe' }).trim();
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : ', changed');
  } catch {
    return 'unknown';
  }
}

function section(name: string, command: string, minutes: number, { tables, goals }: BenchmarkResult): string {
  const goalTables = Object.keys(goals).length === 0 ? [] : [goalTable(goals)];
  return [
    `## ${name}`,
    `\`${command}\`, ${short(minutes)} minutes.`,
    ...[...goalTables, ...tables].map(markdownTable),
  ].join('\n\n');
}
