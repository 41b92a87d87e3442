import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { partitionFolder } from '../../src/log/file/layout.ts';
import { removeSegments } from '../../src/log/file/partition-files.ts';
import { openLog } from '../../src/log/open-log.ts';
import { commitContract } from './commit-contract.ts';

describe('commit and recovery on a file log', () => {
  commitContract(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'repulsor-log-'));
    return {
      log: await openLog(`file:${folder}`),
      forget: (topic, offset) => removeSegments(partitionFolder(folder, topic, 0), [], offset),
      remove: () => rm(folder, { recursive: true }),
    };
  });
});
