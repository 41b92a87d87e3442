import { FileLog, type FileLogOptions } from './file/file-log.ts';
import type { CopyTarget, Log } from './log.ts';
import { parseLogUrl } from './log-url.ts';

export interface OpenLogOptions {
  readonly file?: FileLogOptions;
  /** Where settings of a Kafka log that its URL does not give are looked up. Default `process.env`. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Whether to make the folder of a file log that is not there. Default true; who only reads must not. */
  readonly create?: boolean;
}

/**
 * Opens the log that the URL names (log-url.ts has the grammar): a folder (`file:DIR`, made when it is not there unless told not to) or a
 * Kafka cluster (`kafka://host:port,...`).
 * @throws RepulsorError CONFIG for a bad URL, LOG_UNREACHABLE when the folder or every broker is out of reach.
 */
export async function openLog(url: string, options: OpenLogOptions = {}): Promise<Log & CopyTarget> {
  const address = parseLogUrl(url, options.environment ?? process.env);
  if (address.kind === 'file') return FileLog.open(address.folder, address.url, options.file, options.create);
  const { KafkaLog } = await import('./kafka/kafka-log.ts');
  return KafkaLog.open(address);
}
