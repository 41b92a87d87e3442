import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '../../src/cli/cache-folder.ts';
import { RepulsorError } from '../../src/errors.ts';
import { imageFolder } from '../../src/ingest/image-folder.ts';
import type { ImageSource } from '../../src/ingest/source.ts';

const run = promisify(execFile);

/** Twitter's emoji (CC-BY 4.0), 64 x 64, with the Unicode categories: 62 MB, too much for every clone to bring. */
const PACKAGE = 'emoji-datasource-twitter@16.0.0';
export const SIZE = { height: 32, width: 32, channels: 3 } as const;

interface Emoji {
  readonly image: string;
  readonly category: string;
  readonly has_img_twitter: boolean;
}

/**
 * A folder with the emoji of an npm package, one of each (no variations of skin): a subfolder for each of nine categories. Fetched
 * by npm on the first call, and taken from the cache ever after. @throws RepulsorError USAGE when npm cannot fetch it
 */
export async function emojiFolder(): Promise<string> {
  const folder = join(dirname(cacheFolder()), PACKAGE.replace('@', '-'));
  if (!existsSync(folder)) await fetchInto(folder);
  return folder;
}

/** The emoji on white, scaled to 32 x 32, in colour. */
export async function emoji(): Promise<ImageSource> {
  return imageFolder(await emojiFolder(), { size: SIZE });
}

async function fetchInto(folder: string): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  const partial = await mkdtemp(join(dirname(folder), '.emoji-'));
  try {
    const { stdout } = await run('npm', ['pack', PACKAGE, '--json'], { cwd: partial, maxBuffer: 64 << 20 });
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    await run('tar', ['-xzf', filename, 'package/emoji.json', 'package/img/twitter/64'], { cwd: partial });
    const all = JSON.parse(await readFile(join(partial, 'package/emoji.json'), 'utf8')) as Emoji[];
    for (const { image, category } of all.filter(isPicture)) {
      const into = join(partial, 'classes', category);
      await mkdir(into, { recursive: true });
      await copyFile(join(partial, 'package/img/twitter/64', image), join(into, image));
    }
    await rename(join(partial, 'classes'), folder);
  } catch (cause) {
    throw new RepulsorError('USAGE', `${PACKAGE} cannot be fetched: ${(cause as Error).message}`, {
      hint: 'npm and tar are needed, and a registry; or leave the set out: --sets digits',
      cause,
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

/** Components (tones of skin, hair) are no emoji by themselves. */
const isPicture = (one: Emoji) => one.has_img_twitter && one.category !== 'Component';
