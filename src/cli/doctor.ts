import type { Command } from 'commander';
import { EXIT } from '../errors.ts';
import { VERSION } from '../version.ts';
import type { ChecksOptions } from './checks.ts';
import { openConsole } from './console.ts';
import { engineOption } from './options.ts';

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description(
      'say what works on this machine: engine (proved by a timed matrix product), memory, log, store, versions',
    )
    .option('--log <url>', 'also try this log; without it a scratch file log is tried')
    .option('--store <place>', 'also try this store of blobs: s3://BUCKET/PREFIX, or a folder')
    .option('--registry <url>', 'also try this schema registry')
    .option('--run <dir>', 'also try the log and the store of this run')
    .addOption(engineOption())
    .option('--json', 'one JSON object as the last line')
    .addHelpText(
      'after',
      '\nExamples:\n  repulsor doctor --log kafka://localhost:9092\n  repulsor doctor --run runs/digits',
    )
    .action(async (options: ChecksOptions & { readonly json?: boolean }) => {
      const console = openConsole(options.json ?? false);
      const { runChecks } = await import('./checks.ts');
      const checks = await runChecks(options);
      const ok = checks.every((check) => check.ok);
      const lines = checks.map(
        (check) =>
          `${check.ok ? 'ok  ' : 'FAIL'}  ${check.name.padEnd(8)} ${check.detail}${check.hint ? `\n      what to do: ${check.hint}` : ''}`,
      );
      console.result({ ok, version: VERSION, checks }, [`repulsor ${VERSION}`, ...lines].join('\n'));
      if (!ok) process.exitCode = EXIT.failed;
    });
}
