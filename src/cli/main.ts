import { Command, CommanderError } from 'commander';
import { EXIT, RepulsorError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { tellError } from './console.ts';
import { addDoctor } from './doctor.ts';
import { addIngest } from './ingest.ts';
import { addInspect } from './inspect.ts';
import { addSample } from './sample.ts';
import { addTrain } from './train.ts';

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
addIngest(program);
addTrain(program);
addSample(program);
addInspect(program);
addDoctor(program);
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
