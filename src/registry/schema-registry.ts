import { setTimeout as wait } from 'node:timers/promises';
import { BadRecord } from '../codec/bad-record.ts';
import type { SchemaById } from '../codec/confluent.ts';
import { RepulsorError } from '../errors.ts';
import { isRegistryUrl, REGISTRY_URL_HINT, registryAuthorization } from './registry-url.ts';

export interface RegistrySettings {
  /** Where the secrets are looked up (registry-url.ts). Default `process.env`. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Told when it does not answer, once for each schema asked for, and when it does again. */
  readonly onWarning?: (line: string) => void;
  /** Ends what waits for an answer. */
  readonly signal?: AbortSignal;
  /** Milliseconds after which it is given up. Default a minute. */
  readonly patience?: number;
  /** Milliseconds for one answer. Default 5000. */
  readonly timeout?: number;
}

const FIRST_WAIT = 100;
const LONGEST_WAIT = 10_000;

/** What Confluent's API answers, with status 404, for an id that it does not have; another 404 is no answer of its API. */
const NO_SUCH_SCHEMA = 40403;

/**
 * A schema registry with Confluent's REST API (`GET /schemas/ids/ID`): Confluent's own, Karapace, Apicurio at /apis/ccompat/v7.
 * One that does not answer says nothing about a record: it is asked again, at longer and longer intervals, and then it is an error.
 * @throws RepulsorError CONFIG for a URL that is none, or might hold a secret; its answers reject with REGISTRY_FAILED, BadRecord
 */
export function schemaRegistry(url: string, settings: RegistrySettings = {}): SchemaById {
  const { environment = process.env, onWarning, signal, patience = 60_000, timeout = 5_000 } = settings;
  if (!isRegistryUrl(url))
    throw new RepulsorError('CONFIG', 'not the URL of a schema registry', { hint: `Use ${REGISTRY_URL_HINT}.` });
  const base = url.replace(/\/+$/, '');
  const authorization = registryAuthorization(environment);

  const ask = async (id: number): Promise<Answer> => {
    const stop = new AbortController();
    const abort = (): void => stop.abort(signal?.reason);
    const timer = setTimeout(() => stop.abort(new Error(`no answer within ${timeout / 1000} s`)), timeout);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const response = await fetch(`${base}/schemas/ids/${id}`, {
        headers: {
          accept: 'application/vnd.schemaregistry.v1+json, application/json',
          ...(authorization !== null && { authorization }),
        },
        signal: stop.signal,
      });
      return answerOf(id, response.status, await response.text());
    } catch (error) {
      if (error instanceof BadRecord || signal?.aborted) throw error;
      return { trouble: inWords(error), lasting: false };
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  };

  return async (id) => {
    signal?.throwIfAborted();
    const until = performance.now() + patience;
    for (let pause = FIRST_WAIT; ; pause = Math.min(2 * pause, LONGEST_WAIT)) {
      const answer = await ask(id);
      if ('schema' in answer) {
        if (pause > FIRST_WAIT) onWarning?.(`the schema registry ${base} answers again`);
        return answer.schema;
      }
      if (answer.lasting || performance.now() + pause > until) throw failed(base, id, answer.trouble);
      if (pause === FIRST_WAIT)
        onWarning?.(
          `the schema registry ${base} does not give schema ${id} (${answer.trouble}): it is asked again for ${patience / 1000} s`,
        );
      await wait(pause, undefined, signal && { signal });
    }
  };
}

/** `lasting`: it would be the same at the next time. */
type Answer = { readonly schema: string | null } | { readonly trouble: string; readonly lasting: boolean };

function answerOf(id: number, status: number, body: string): Answer {
  const found = parsed(body);
  if (status === 200) {
    const { schema, schemaType = 'AVRO', references } = found ?? {};
    if (typeof schema !== 'string') return { trouble: 'its answer holds no schema', lasting: false };
    if (schemaType !== 'AVRO')
      throw new BadRecord('incompatible_schema', `schema ${id} of the registry is ${schemaType}, not Avro`);
    if (Array.isArray(references) && references.length > 0)
      throw new BadRecord('incompatible_schema', `schema ${id} of the registry refers to other schemas`);
    return { schema };
  }
  if (status === 404 && found?.['error_code'] === NO_SUCH_SCHEMA) return { schema: null };
  const again = status >= 500 || status === 408 || status === 429;
  return { trouble: `HTTP status ${status}`, lasting: !again };
}

function parsed(body: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' ? (value as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}

/** What fetch says of itself is "fetch failed"; the reason lies below. */
function inWords(error: unknown): string {
  const { cause, message } = error as Error;
  const { code, message: why } = (cause ?? {}) as NodeJS.ErrnoException;
  return code ?? why ?? message;
}

function failed(base: string, id: number, trouble: string): RepulsorError {
  return new RepulsorError('REGISTRY_FAILED', `the schema registry ${base} does not give schema ${id}: ${trouble}`, {
    hint: /status 40[13]/.test(trouble)
      ? 'Set REPULSOR_REGISTRY_USERNAME and REPULSOR_REGISTRY_PASSWORD, or REPULSOR_REGISTRY_TOKEN.'
      : "Check source.registry: the URL that the producers' schema.registry.url has (Apicurio: with /apis/ccompat/v7). No record is lost: the same command goes on.",
  });
}
