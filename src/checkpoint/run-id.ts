import { RepulsorError } from '../errors.ts';

/** Kafka allows 249 characters; the longest suffix is ".dead-letters". */
const LONGEST_RUN_ID = 200;

/** @throws RepulsorError USAGE when the id cannot begin the name of a Kafka topic */
export function checkRunId(run: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(run) && run.length <= LONGEST_RUN_ID) return;
  throw new RepulsorError('USAGE', `${JSON.stringify(run)} cannot name a run`, {
    hint: `A run's id begins its topics' names: a letter or digit, then letters, digits, ".", "_" or "-", at most ${LONGEST_RUN_ID} in all.`,
  });
}

/** Everything of a run that lies in its log. Each topic has one partition and keeps its records forever. */
export interface RunTopics {
  readonly negatives: string;
  readonly journal: string;
  readonly commits: string;
  readonly deadLetters: string;
}

export function runTopics(run: string): RunTopics {
  checkRunId(run);
  return {
    negatives: `${run}.negatives`,
    journal: `${run}.journal`,
    commits: `${run}.commits`,
    deadLetters: `${run}.dead-letters`,
  };
}

/** The runs whose topics are among these. */
export function runsAmong(topics: readonly string[]): string[] {
  const there = new Set(topics);
  const named = topics.flatMap((topic) => /^(.+)\.commits$/.exec(topic)?.[1] ?? []);
  return named.filter((run) => there.has(`${run}.journal`) && there.has(`${run}.negatives`));
}

/** The consumer group whose offsets a run's commits set, for lag monitors. */
export function consumerGroup(run: string): string {
  checkRunId(run);
  return `repulsor-${run}`;
}

/** The same for every trainer of a run, so that the log itself lets only the latest one commit. */
export function transactionalId(run: string): string {
  checkRunId(run);
  return `repulsor-${run}`;
}
