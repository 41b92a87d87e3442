import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { openLog } from '../../src/log/open-log.ts';
import { commitContract } from './commit-contract.ts';

describe('commit and recovery on a file log', () => {
  commitContract(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'repulsor-log-'));
    return {
      log: await openLog(`file:${folder}`),
      remove: () => rm(folder, { recursive: true }),
    };
  });
});
