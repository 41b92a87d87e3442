import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RepulsorError } from '../errors.ts';

/*
 * log   = "file:" path                          relative to the working folder, or absolute; file:///path too
 *       | "kafka://" [user [":" password] "@"] broker ("," broker)* ["?" query]
 * broker= host [":" port]                       port: 9092 unless given
 * query = ssl=true|false, ssl.ca=PEM file, ssl.cert=, ssl.key=, sasl=MECHANISM, username=, password=, client.id=
 *
 * Everything of the query and the user can come from the environment instead, which is where secrets belong:
 * REPULSOR_KAFKA_SSL, _SSL_CA, _SSL_CERT, _SSL_KEY, _SASL_MECHANISM, _SASL_USERNAME, _SASL_PASSWORD, _CLIENT_ID.
 * The URL wins where both say something. MECHANISM: plain, scram-sha-256 or scram-sha-512.
 */

export type SaslMechanism = 'plain' | 'scram-sha-256' | 'scram-sha-512';
const MECHANISMS: readonly string[] = ['plain', 'scram-sha-256', 'scram-sha-512'];

export interface KafkaAddress {
  readonly kind: 'kafka';
  /** Without secrets. */
  readonly url: string;
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** Null: no TLS. Paths of PEM files. */
  readonly ssl: { readonly ca: string | null; readonly cert: string | null; readonly key: string | null } | null;
  readonly sasl: { readonly mechanism: SaslMechanism; readonly username: string; readonly password: string } | null;
}

export interface FileAddress {
  readonly kind: 'file';
  readonly url: string;
  /** Absolute. */
  readonly folder: string;
}

/** @throws RepulsorError CONFIG saying what is wrong with the URL; it never repeats a password. */
export function parseLogUrl(url: string, environment: NodeJS.ProcessEnv = {}): FileAddress | KafkaAddress {
  if (url.startsWith('file:')) return parseFile(url);
  if (url.startsWith('kafka://')) return parseKafka(url.slice('kafka://'.length), environment);
  const scheme = /^[a-z][a-z0-9+.-]*:/i.exec(url)?.[0];
  throw bad(scheme === undefined ? `"${withoutUser(url)}" has no scheme` : `logs are not named by "${scheme}"`);
}

/**
 * The URL as it may be written down and opened again from any folder: paths absolute, settings kept, and no user, password
 * or anything else that might be one. What is not the URL of a log is given back without what follows its "?".
 */
export function lastingLogUrl(url: string): string {
  if (url.startsWith('file:')) return `file:${parseFile(url).folder}`;
  const [address = '', queryText = ''] = split(url, '?');
  const bare = address.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i, '$1');
  const kept = [...new URLSearchParams(queryText)].flatMap(([name, value]): [string, string][] => {
    if (name === 'ssl.ca' || name === 'ssl.cert' || name === 'ssl.key') return [[name, resolve(value)]];
    const harmless =
      name === 'client.id' ||
      (name === 'ssl' && (value === 'true' || value === 'false')) ||
      (name === 'sasl' && MECHANISMS.includes(value.toLowerCase()));
    return harmless ? [[name, value]] : [];
  });
  return kept.length === 0 ? bare : `${bare}?${new URLSearchParams(kept)}`;
}

function parseFile(url: string): FileAddress {
  const path = url.slice('file:'.length);
  if (path === '' || path.includes('\0')) throw bad('"file:" needs a folder behind it');
  if (!path.startsWith('//')) return { kind: 'file', url, folder: resolve(path) };
  try {
    return { kind: 'file', url, folder: fileURLToPath(url) };
  } catch (error) {
    throw bad(`"${withoutUser(url)}" names no folder of this machine: ${(error as Error).message}`);
  }
}

function parseKafka(rest: string, environment: NodeJS.ProcessEnv): KafkaAddress {
  const [authority = '', queryText = ''] = split(rest, '?');
  const at = authority.lastIndexOf('@');
  const user = at < 0 ? '' : authority.slice(0, at);
  const brokers = authority
    .slice(at + 1)
    .replace(/\/$/, '')
    .split(',')
    .map(parseBroker);
  const query = new URLSearchParams(queryText);
  for (const name of query.keys()) {
    // Not by its name: behind a "&" in a password that is a part of it.
    if (!(name in SETTINGS)) throw bad(`the query has a setting that is none of ${Object.keys(SETTINGS).join(', ')}`);
  }
  const setting = (name: keyof typeof SETTINGS): string | null =>
    query.get(name) ?? (environment[SETTINGS[name]] || null);
  const [userName = '', userPassword = ''] = split(user, ':').map(decode);
  const username = userName || setting('username');
  const password = userPassword || setting('password');
  const ssl = parseSsl(setting);
  const sasl = parseSasl(setting('sasl'), username, password);
  const shown = new URLSearchParams([...query].filter(([name]) => name !== 'username' && name !== 'password'));
  const suffix = shown.size === 0 ? '' : `?${shown}`;
  const clientId = setting('client.id') ?? 'repulsor';
  return { kind: 'kafka', url: `kafka://${brokers.join(',')}${suffix}`, brokers, clientId, ssl, sasl };
}

const SETTINGS = {
  ssl: 'REPULSOR_KAFKA_SSL',
  'ssl.ca': 'REPULSOR_KAFKA_SSL_CA',
  'ssl.cert': 'REPULSOR_KAFKA_SSL_CERT',
  'ssl.key': 'REPULSOR_KAFKA_SSL_KEY',
  sasl: 'REPULSOR_KAFKA_SASL_MECHANISM',
  username: 'REPULSOR_KAFKA_SASL_USERNAME',
  password: 'REPULSOR_KAFKA_SASL_PASSWORD',
  'client.id': 'REPULSOR_KAFKA_CLIENT_ID',
} as const;

type Setting = (name: keyof typeof SETTINGS) => string | null;

/** Named by its place, never by its text: of a URL that is cut wrongly (a "?" or "/" in a password) that may be a secret. */
function parseBroker(text: string, index: number): string {
  const broker = `broker ${index + 1}`;
  if (text.startsWith('[')) throw bad(`${broker}: the Kafka client takes no IPv6 address; give a host name`);
  const [host = '', portText] = split(text, ':');
  const port = portText === undefined ? 9092 : Number(portText);
  if (!/^[a-zA-Z0-9._-]+$/.test(host))
    throw bad(`${broker} is no broker: expected host:port (special characters of a password are percent-encoded)`);
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw bad(`${broker} has no valid port (special characters of a password are percent-encoded)`);
  return `${host}:${port}`;
}

function parseSsl(setting: Setting): KafkaAddress['ssl'] {
  const [ca, cert, key] = [setting('ssl.ca'), setting('ssl.cert'), setting('ssl.key')];
  const named = setting('ssl');
  if (named !== null && named !== 'true' && named !== 'false') throw bad(`ssl is "${named}", not true or false`);
  if ((cert === null) !== (key === null)) throw bad('a TLS client certificate needs both ssl.cert and ssl.key');
  const wanted = named === null ? ca !== null || cert !== null : named === 'true';
  return wanted ? { ca, cert, key } : null;
}

function parseSasl(
  mechanismText: string | null,
  username: string | null,
  password: string | null,
): KafkaAddress['sasl'] {
  if (mechanismText === null && username === null && password === null) return null;
  const mechanism = (mechanismText ?? 'plain').toLowerCase();
  if (!MECHANISMS.includes(mechanism))
    throw bad(`the SASL mechanism "${mechanism}" is none of ${MECHANISMS.join(', ')}`);
  if (username === null || password === null) {
    throw bad(`SASL ${mechanism} needs a ${username === null ? 'user name' : 'password'}`);
  }
  return { mechanism: mechanism as SaslMechanism, username, password };
}

function split(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad('the user or the password in the URL is not percent-encoded');
  }
}

/** What stands before an "@" or behind a "?" may be a secret. */
const withoutUser = (url: string): string => url.replace(/\?.*$/s, '?...').replace(/^.*@/s, '...@').slice(0, 100);

function bad(what: string): RepulsorError {
  return new RepulsorError('CONFIG', `not the URL of a log: ${what}`, {
    hint: 'Use file:FOLDER, or kafka://host:port,host:port with REPULSOR_KAFKA_SASL_USERNAME and _PASSWORD in the environment.',
  });
}

/** @throws RepulsorError USAGE when a URL, which may hold a password, stands where a path is asked for. `what`: of what. */
export function demandPath(text: string, what: string): void {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0];
  if (scheme === undefined) return;
  throw new RepulsorError('USAGE', `${scheme}... is a URL, not the path of ${what}`, {
    hint: 'A log is named by an option: --log URL (ingest: --to URL).',
  });
}
