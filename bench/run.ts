/** `npm run bench -- NAME [--json]`: runs one benchmark. `npm run bench -- --help` lists them. */
import { Command, CommanderError } from 'commander';
import { openConsole, tellError } from '../src/cli/console.ts';
import { EXIT } from '../src/errors.ts';
import type { BenchmarkResult } from './benchmark.ts';
import { BENCHMARKS } from './benchmarks.ts';
import { describeMachine, type Machine } from './machine.ts';
import { formatTable, goalTable, short } from './table.ts';

const EVERY = new Map([...BENCHMARKS, ['all', () => import('./all.ts')] as const]);

const program = new Command('bench')
  .usage('NAME [flags]')
  .description('Measure this machine with the code of this tree. Comparisons are made in turns; see bench/README.md.')
  .exitOverride()
  .showHelpAfterError('(--help shows what can be asked)');

const asked = process.argv[2] ?? '';
for (const [name, load] of EVERY) {
  if (EVERY.has(asked) && name !== asked) continue;
  const { benchmark } = await load();
  benchmark
    .options(program.command(name).description(benchmark.summary))
    .option('--json', 'one JSON object as the last line: machine, figures, goals')
    .copyInheritedSettings(program)
    .action(async (options: Record<string, unknown>) => {
      const console = openConsole(options['json'] === true);
      const machine = describeMachine();
      const result = await benchmark.run(options, console.note);
      const { figures, goals } = result;
      console.result({ benchmark: name, machine, figures, goals }, forPeople(machine, result));
    });
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) process.exitCode = tellError(error, process.argv.includes('--json'));
  else process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
}

function forPeople(machine: Machine, { tables, goals }: BenchmarkResult): string {
  const { cpu, cores, memory_bytes, system, load, node } = machine;
  const head = `${cpu}, ${cores} cores, ${short(memory_bytes / 2 ** 30)} GiB, ${system}, Node ${node}, load ${load.toFixed(1)}`;
  return [head, ...[...tables, goalTable(goals)].map(formatTable)].join('\n\n');
}
