import { RepulsorError } from '../../errors.ts';

/** An error code that a broker answered with (kafka.apache.org/protocol, "Error Codes"). */
export class BrokerError extends Error {
  readonly code: number;

  constructor(code: number, where: string) {
    super(`${where}: the broker answered with error code ${code}`);
    this.name = 'BrokerError';
    this.code = code;
  }
}

/**
 * A leader that does not know its partition has not heard of the topic yet, or of its end: the metadata, which is asked
 * again after NOT_LEADER, says which.
 */
export const leaderCode = (code: number): number => (code === CODE.unknownTopic ? CODE.notLeader : code);

export const CODE = {
  offsetOutOfRange: 1,
  unknownTopic: 3,
  leaderNotAvailable: 5,
  notLeader: 6,
  brokerNotAvailable: 8,
  messageTooLarge: 10,
  recordListTooLarge: 18,
  invalidTimestamp: 32,
  topicExists: 36,
  noSuchGroup: 69,
} as const;

/** Somebody else has the id, or the broker ended the transaction because it was open for too long. */
const FENCED: readonly number[] = [
  47, // INVALID_PRODUCER_EPOCH
  49, // INVALID_PRODUCER_ID_MAPPING
  90, // PRODUCER_FENCED
];

/** Leaders and coordinators move, brokers start and stop: worth asking again after a look at the metadata. */
const PASSING: readonly number[] = [
  5, // LEADER_NOT_AVAILABLE
  6, // NOT_LEADER_OR_FOLLOWER
  7, // REQUEST_TIMED_OUT
  8, // BROKER_NOT_AVAILABLE
  9, // REPLICA_NOT_AVAILABLE
  13, // NETWORK_EXCEPTION
  14, // COORDINATOR_LOAD_IN_PROGRESS
  15, // COORDINATOR_NOT_AVAILABLE
  16, // NOT_COORDINATOR
  19, // NOT_ENOUGH_REPLICAS
  20, // NOT_ENOUGH_REPLICAS_AFTER_APPEND
  41, // NOT_CONTROLLER
  51, // CONCURRENT_TRANSACTIONS
  56, // KAFKA_STORAGE_ERROR
  74, // FENCED_LEADER_EPOCH
  75, // UNKNOWN_LEADER_EPOCH
  78, // OFFSET_NOT_AVAILABLE
  88, // UNSTABLE_OFFSET_COMMIT
  89, // THROTTLING_QUOTA_EXCEEDED
];

const NOT_ALLOWED: readonly number[] = [29, 30, 31, 53]; // *_AUTHORIZATION_FAILED

const CONNECTION_ERRORS: readonly string[] = [
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSLockTimeout',
  'KafkaJSTimeout',
];

/** The broker's error code in what kafkajs threw, or in a BrokerError; null when it is another kind of error. */
export function brokerCodeOf(error: unknown): number | null {
  if (!(error instanceof Error)) return null;
  const { code, type, errors } = error as Error & { code?: unknown; type?: unknown; errors?: unknown };
  if (Array.isArray(errors) && errors.length > 0) return brokerCodeOf(errors[0]);
  // kafkajs does not know the codes that came after it: it says them in the message only.
  if (type === 'KAFKAJS_UNKNOWN_ERROR_CODE') return Number(/-?\d+/.exec(error.message)?.[0] ?? -1);
  return typeof code === 'number' ? code : null;
}

export type Verdict = 'again' | 'disconnected' | 'fenced' | 'final';

export function judge(error: unknown): Verdict {
  const code = brokerCodeOf(error);
  if (code !== null) return FENCED.includes(code) ? 'fenced' : PASSING.includes(code) ? 'again' : 'final';
  return error instanceof Error && CONNECTION_ERRORS.includes(error.name) ? 'disconnected' : 'final';
}

/** What the project's callers see of an error that will not pass. `what` says what was tried, and where. */
export function asRepulsorError(error: unknown, what: string, brokers: readonly string[]): RepulsorError {
  if (error instanceof RepulsorError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const code = brokerCodeOf(error);
  const at = brokers.join(', ');
  const verdict = judge(error);
  if (verdict === 'fenced') {
    return new RepulsorError('FENCED', `${what}: another writer took the transactional id over (${reason})`, {
      hint: 'Another process works on this run now, or this one was paused for longer than the transaction timeout. Stop it; nothing of the open transaction counts.',
      cause: error,
    });
  }
  if (verdict === 'disconnected') {
    return new RepulsorError('LOG_UNREACHABLE', `${what}: no answer from Kafka at ${at} (${reason})`, {
      hint: 'Is the broker up, the address right, and TLS set as the listener wants it? (`repulsor doctor`)',
      cause: error,
    });
  }
  if ((error as Error)?.name === 'KafkaJSSASLAuthenticationError' || code === 58) {
    return new RepulsorError('LOG_UNREACHABLE', `${what}: Kafka at ${at} refused the credentials`, {
      hint: 'Check REPULSOR_KAFKA_SASL_MECHANISM, _USERNAME and _PASSWORD.',
      cause: error,
    });
  }
  if (code === CODE.unknownTopic) {
    return new RepulsorError('TOPIC_MISSING', `${what}: there is no such topic or partition in Kafka at ${at}`, {
      hint: 'Check the name, or make the topic first (`repulsor ingest` does).',
      cause: error,
    });
  }
  if (code === CODE.messageTooLarge || code === CODE.recordListTooLarge) {
    return new RepulsorError('BAD_RECORD', `${what}: a record is larger than the topic takes`, {
      hint: "Raise the topic's max.message.bytes, or put fewer images into a record.",
      cause: error,
    });
  }
  if (code === CODE.invalidTimestamp) {
    return new RepulsorError(
      'BAD_RECORD',
      `${what}: a timestamp is further from the broker's clock than the topic allows`,
      {
        hint: "Check the clock, or set the topic's message.timestamp.after.max.ms.",
        cause: error,
      },
    );
  }
  const hint =
    code !== null && NOT_ALLOWED.includes(code)
      ? 'The user has no permission for this: ask for the ACL.'
      : "Look into the broker's log.";
  return new RepulsorError('LOG_FAILED', `${what}: ${reason}`, { hint, cause: error });
}
