/** Exit statuses of every command (docs/operations.md). */
export const EXIT = { done: 0, failed: 1, usage: 2, fenced: 3, damaged: 4, interrupted: 130 } as const;

/** Every error this system raises on purpose: its code and the exit status a command ends with. */
const ERRORS = {
  USAGE: EXIT.usage, // a wrong flag or argument
  CONFIG: EXIT.usage, // a pipeline whose settings are invalid or contradict each other
  STATE_MISMATCH: EXIT.usage, // settings that do not fit the committed state (model, queue, partitions)
  ENGINE_UNAVAILABLE: EXIT.failed, // the engine that was asked for cannot be loaded here
  ENGINE_FAILED: EXIT.failed, // the engine refused an operation or failed while running
  LOG_UNREACHABLE: EXIT.failed, // no broker answers, or the folder cannot be opened
  REGISTRY_FAILED: EXIT.failed, // the schema registry does not answer, or refuses to
  LOG_LOCKED: EXIT.failed, // another live process is the writer
  LOG_FAILED: EXIT.failed, // a read or a write failed
  STORE_FAILED: EXIT.failed, // a blob cannot be written or read (disk full, permissions)
  TOPIC_MISSING: EXIT.failed, // the topic does not exist
  BAD_RECORD: EXIT.failed, // bytes that do not decode, or break a limit
  TOO_MANY_BAD_RECORDS: EXIT.failed, // the share of bad records passed the set limit
  METRICS_UNAVAILABLE: EXIT.failed, // the metrics port is taken, or may not be bound here
  DIVERGED: EXIT.failed, // the loss is no longer a finite number
  FENCED: EXIT.fenced, // another trainer took this run over
  STATE_DAMAGED: EXIT.damaged, // a blob, segment or record whose checksum does not match
  STATE_MISSING: EXIT.damaged, // a blob or commit that is named but not there
  STATE_TRUNCATED: EXIT.damaged, // offsets still needed were removed by retention
  FORMAT_NEWER: EXIT.damaged, // written by a newer version of this software
} as const satisfies Record<string, number>;

export type ErrorCode = keyof typeof ERRORS;

/**
 * An error with a next step. `message` says what happened and where (topic, partition, offset, file);
 * `hint` says what to do about it. Neither ever holds a secret.
 */
export class RepulsorError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly exitStatus: number;

  constructor(code: ErrorCode, message: string, options: { hint: string; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RepulsorError';
    this.code = code;
    this.hint = options.hint;
    this.exitStatus = ERRORS[code];
  }
}

/** Whether this is an error of ours with one of the codes. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is RepulsorError {
  return error instanceof RepulsorError && codes.includes(error.code);
}
