import { EXIT } from '../errors.ts';

/** A terminal that is closed asks for the same as Ctrl-C and as whoever stops a service. */
const INTERRUPTIONS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * The first interruption asks for a clean end, and people are told `words`; the second ends at once. Within `sameMs` it
 * is the first, told twice: npx hands Ctrl-C on to a process that has it from the terminal already, and `timeout` signals
 * a process and then its group.
 */
export function interruption(
  words: string,
  note: (line: string) => void,
  sameMs = 0,
): { readonly signal: AbortSignal; restore(): void } {
  const controller = new AbortController();
  let first = 0;
  const onSignal = () => {
    if (controller.signal.aborted) {
      if (performance.now() - first >= sameMs) process.exit(EXIT.interrupted);
      return;
    }
    first = performance.now();
    note(words);
    controller.abort();
  };
  for (const name of INTERRUPTIONS) process.on(name, onSignal);
  return {
    signal: controller.signal,
    restore: () => {
      for (const name of INTERRUPTIONS) process.off(name, onSignal);
    },
  };
}
