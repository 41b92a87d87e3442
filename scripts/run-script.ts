import { RepulsorError } from '../src/errors.ts';

/** Runs a script's main function. What it throws is told without a stack, and sets the exit status; with `usage` where the flags were wrong. */
export function runScript(main: () => Promise<void>, usage: string): void {
  main().catch((error: unknown) => {
    const isUsage = error instanceof TypeError;
    console.error(error instanceof Error ? error.message : error);
    if (error instanceof RepulsorError) console.error(error.hint);
    if (isUsage) console.error(usage);
    process.exitCode = error instanceof RepulsorError ? error.exitStatus : isUsage ? 2 : 1;
  });
}
