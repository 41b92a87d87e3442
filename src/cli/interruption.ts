import { EXIT } from '../errors.ts';

/** A terminal that is closed asks for the same as Ctrl-C and as whoever stops a service. */
const INTERRUPTIONS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The first interruption asks for a clean end, and people are told `words`; the second ends at once. */
export function interruption(
  words: string,
  note: (line: string) => void,
): { readonly signal: AbortSignal; restore(): void } {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
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
