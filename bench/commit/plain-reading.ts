import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseS3Url } from '../../src/checkpoint/s3/s3-address.ts';
import { openBucket } from '../../src/checkpoint/s3/s3-client.ts';

/** What recovery is compared with: the same blobs read one after the other, each with its SHA-256, and nothing else. */
export interface PlainReading {
  read(): Promise<void>;
  /** Whether the blobs are out of this machine's page cache now: posix_fadvise, which dd calls for a file of no blocks. */
  drop(): boolean;
}

export async function plainReading(store: string, digests: readonly string[]): Promise<PlainReading> {
  return store.startsWith('s3://') ? objects(store, digests) : files(store, digests);
}

async function files(folder: string, digests: readonly string[]): Promise<PlainReading> {
  const names = await readdir(folder);
  const paths = digests.map((sha256) => join(folder, names.find((name) => name.startsWith(sha256))!));
  const buffer = new Uint8Array(4 * 1024 * 1024);
  return {
    async read() {
      for (const path of paths) {
        const file = await open(path, 'r');
        const hash = createHash('sha256');
        for (;;) {
          const { bytesRead } = await file.read(buffer, 0, buffer.length);
          if (bytesRead === 0) break;
          hash.update(buffer.subarray(0, bytesRead));
        }
        hash.digest('hex');
        await file.close();
      }
    },
    drop: () => paths.every((path) => spawnSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0']).status === 0),
  };
}

async function objects(url: string, digests: readonly string[]): Promise<PlainReading> {
  const { bucket: name, prefix } = parseS3Url(url);
  const bucket = await openBucket(name);
  const listed = await bucket.list(prefix);
  const found = digests.map((sha256) => listed.find(({ key }) => key.startsWith(prefix + sha256))!);
  return {
    async read() {
      for (const object of found)
        createHash('sha256')
          .update(await bucket.read(object, 0, object.bytes, new AbortController().signal))
          .digest('hex');
    },
    drop: () => false,
  };
}
