import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { beginHash, hashOf } from '../../src/checkpoint/background-hash.ts';

const MIB = 1024 * 1024;
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** No two pieces of them are alike: the period of 13 divides no piece. */
const bytesOf = (length: number, n: number): Uint8Array => Buffer.alloc(length, `bytes no. ${n}..`.slice(0, 13));

test.each([0, 1, 2 * MIB, 2 * MIB + 1, 9 * MIB + 3])('%d bytes have the digest that they have', async (length) => {
  const bytes = bytesOf(length, 0);
  const cuts = [0, Math.min(1, length), Math.ceil(length / 3), length];
  const pieces = cuts.map((cut, i) => bytes.subarray(cut, cuts[i + 1] ?? length));
  expect(await hashOf(pieces, length)).toBe(sha256(bytes));
});

test('more hashes at once than there are threads wait for one another, and none gets the bytes of another', async () => {
  const all = Array.from({ length: 9 }, (_, i) => bytesOf(3 * MIB + i, i));
  expect(await Promise.all(all.map((bytes) => hashOf([bytes], bytes.length)))).toEqual(all.map(sha256));
});

test.each([MIB, 64 * MIB])('bytes may change once they are handed over (a hash of %d)', async (announced) => {
  const bytes = bytesOf(MIB, 0);
  const expected = sha256(bytes);
  const hash = await beginHash(announced);
  await hash.update(bytes);
  bytes.fill(0);
  expect(await hash.digest()).toBe(expected);
});

test.each([MIB, 64 * MIB])(
  'what is filled in is hashed, and can be read until the next piece (a hash of %d)',
  async (announced) => {
    const bytes = bytesOf(9 * MIB + 3, 0);
    const hash = await beginHash(announced);
    const read: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const filled = await hash.fill(async (target) => {
        const part = bytes.subarray(at, at + target.length);
        target.set(part);
        return part.length;
      });
      at += filled.length;
      read.push(Buffer.from(filled));
    }
    expect(sha256(Buffer.concat(read))).toBe(sha256(bytes));
    expect(await hash.digest()).toBe(sha256(bytes));
  },
);

test('a hash that is given up, or whose reader fails, leaves nothing for the next one', async () => {
  const bytes = bytesOf(5 * MIB, 0);
  for (let i = 0; i < 20; i++) {
    const hash = await beginHash(bytes.length);
    await hash.update(bytes);
    await expect(hash.fill(() => Promise.reject(new Error('cannot be read')))).rejects.toThrow('cannot be read');
    await hash.abandon();
    await hash.abandon();
  }
  expect(await hashOf([bytes], bytes.length)).toBe(sha256(bytes));
});

test('threads keep no process alive, and one that waits for them is not ended', () => {
  const module = fileURLToPath(new URL('../../src/checkpoint/background-hash.ts', import.meta.url));
  const script = `
    import { hashOf } from ${JSON.stringify(module)};
    const bytes = new Uint8Array(${5 * MIB});
    hashOf([bytes], bytes.length).then(console.log);`;
  const end = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
    encoding: 'utf8',
    timeout: 50_000,
  });
  expect(end, end.stderr).toMatchObject({ status: 0, stdout: `${sha256(new Uint8Array(5 * MIB))}\n` });
});
