import { hasCode, RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';

/**
 * Which topics a run reads, beyond their names: one that is deleted and made anew has its name and may have more records
 * than the run had read. Asked after some records were read, it answers for all of them: an id never comes back.
 */
export interface TopicIdentity {
  /** Notes the topics as they are now, before anything is read. @throws RepulsorError TOPIC_MISSING naming all that are */
  note(): Promise<void>;
  /** @throws RepulsorError STATE_MISSING when a topic is not the one that was noted, and what the log throws */
  demandSame(): Promise<void>;
}

export function topicIdentity(log: Log, topics: readonly string[]): TopicIdentity {
  let ids: ReadonlyMap<string, string | null> | null = null;
  return {
    async note() {
      const missing: string[] = [];
      const noted = new Map<string, string | null>();
      for (const topic of topics) {
        try {
          noted.set(topic, await log.topicId(topic));
        } catch (error) {
          if (!hasCode(error, 'TOPIC_MISSING')) throw error;
          missing.push(topic);
        }
      }
      if (missing.length > 0) throw missingError(missing, log.url);
      ids = noted;
    },
    async demandSame() {
      for (const [topic, id] of ids ?? []) {
        const now = await log.topicId(topic).catch((error: unknown) => {
          throw hasCode(error, 'TOPIC_MISSING') ? deletedError(error) : error;
        });
        if (now !== id) throw madeAnewError(topic, 'it has another id than when the run began to read it');
      }
    },
  };
}

function missingError(topics: readonly string[], url: string): RepulsorError {
  return new RepulsorError('TOPIC_MISSING', `there is no topic ${topics.join(', ')} in ${url}`, {
    hint: 'Check the name (source.topic), or make the topic first (`repulsor ingest` does).',
  });
}

/** The log does not know a topic that the run has read. */
export function deletedError(cause: RepulsorError): RepulsorError {
  return new RepulsorError('STATE_MISSING', `${cause.message}, but the run has read from it`, {
    hint: 'Was it deleted? Restore it, or start a new run; the last commit stands.',
    cause,
  });
}

export function madeAnewError(topic: string, how: string): RepulsorError {
  return new RepulsorError('STATE_MISSING', `${topic} was deleted and made anew: ${how}`, {
    hint: 'Restore the topic that the run was reading, or start a new run on this one.',
  });
}
