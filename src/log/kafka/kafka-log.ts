import { RepulsorError } from '../../errors.ts';
import type { Log } from '../log.ts';
import type { KafkaAddress } from '../log-url.ts';

export const KafkaLog = {
  async open(address: KafkaAddress): Promise<Log> {
    throw new RepulsorError('LOG_UNREACHABLE', `no client for ${address.url} yet`, { hint: 'Use a file log.' });
  },
};
