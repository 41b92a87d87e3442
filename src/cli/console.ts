import { RepulsorError } from '../errors.ts';

/**
 * How commands speak. People get notes on stderr and the result as text on stdout; machines (`--json`) get one JSON
 * object as stdout's last line and only warnings on stderr. Never both.
 */
export interface Console {
  readonly json: boolean;
  /** For people only. */
  note(line: string): void;
  /** For both. */
  warn(line: string): void;
  /** What the command was asked for: once, at its end. */
  result(value: object, text: string): void;
}

export function openConsole(json: boolean): Console {
  return {
    json,
    note: (line) => {
      if (!json) process.stderr.write(`${line}\n`);
    },
    warn: (line) => process.stderr.write(`warning: ${line}\n`),
    result: (value, text) => {
      process.stdout.write(json ? `${JSON.stringify(value)}\n` : text === '' ? '' : `${text}\n`);
    },
  };
}

/** Tells an error and returns the exit status it ends with. An error nobody planned for shows where it came from. */
export function tellError(error: unknown, json: boolean): number {
  const known = error instanceof RepulsorError;
  const code = known ? error.code : 'INTERNAL';
  const message = error instanceof Error ? error.message : String(error);
  const hint = known ? error.hint : 'this is a defect of repulsor: please report it with the lines above';
  if (!known && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  if (json) process.stdout.write(`${JSON.stringify({ error: { code, message, hint } })}\n`);
  else process.stderr.write(`error ${code}: ${message}\n  what to do: ${hint}\n`);
  return known ? error.exitStatus : 1;
}
