import { Command, CommanderError } from 'commander';
import { EXIT, RepulsorError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { tellError } from './console.ts';

/** Each adds itself. Only the one asked for is loaded: an engine's code takes a second that `inspect` need not wait. */
const COMMANDS = new Map<string, () => Promise<(program: Command) => void>>([
  ['ingest', async () => (await import('./ingest.ts')).addIngest],
  ['train', async () => (await import('./train.ts')).addTrain],
  ['sweep', async () => (await import('./sweep.ts')).addSweep],
  ['replay', async () => (await import('./replay.ts')).addReplay],
  ['sample', async () => (await import('./sample.ts')).addSample],
  ['evaluate', async () => (await import('./evaluate.ts')).addEvaluate],
  ['train-classifier', async () => (await import('./train-classifier.ts')).addTrainClassifier],
  ['import', async () => (await import('./import.ts')).addImport],
  ['export', async () => (await import('./export.ts')).addExport],
  ['inspect', async () => (await import('./inspect.ts')).addInspect],
  ['log', async () => (await import('./log.ts')).addLog],
  ['certify', async () => (await import('./certify.ts')).addCertify],
  ['doctor', async () => (await import('./doctor.ts')).addDoctor],
]);

const program = new Command('repulsor')
  .description('Keep a diffusion transformer learning from a live stream of images.')
  .version(VERSION)
  .exitOverride()
  .showHelpAfterError('(--help shows what can be asked)')
  .addHelpText(
    'after',
    `
Exit status: 0 done, 1 failed, 2 wrong usage or settings, 3 another trainer took the run over,
4 state or data damaged or missing, 130 interrupted (after a clean commit)`,
  );
// Who read has gone (`| head`): there is nobody left to tell, least of all by a stack.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(EXIT.failed);
});

const asked = COMMANDS.get(process.argv[2] ?? '');
for (const load of asked === undefined ? COMMANDS.values() : [asked]) (await load())(program);
for (const command of program.commands) command.copyInheritedSettings(program);

try {
  await program.parseAsync();
} catch (error) {
  const json = process.argv.includes('--json');
  if (!(error instanceof CommanderError)) process.exitCode = tellError(error, json);
  else {
    // Commander has told people by now.
    process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
    if (json && error.exitCode !== 0)
      tellError(new RepulsorError('USAGE', error.message, { hint: 'repulsor --help shows what can be asked' }), json);
  }
}
