import { readdir, readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { type FileEncoding, readImageShape, sniffEncoding } from '../codec/image-file.ts';
import { resizeImageFile } from '../codec/resize.ts';
import { RepulsorError } from '../errors.ts';
import { permutation } from '../random/philox.ts';
import type { ImageSource, SourceImage, UnreadableImage } from './source.ts';

export interface ImageFolderSettings {
  /**
   * Every image is brought to this size: turned as its orientation tag says, scaled to cover it, cut at the centre, and
   * stored as raw pixels. Absent: the files are stored as they are, and images of another size than the pipeline's are
   * set aside later.
   */
  readonly size?: { readonly height: number; readonly width: number; readonly channels: 1 | 3 | 4 };
}

interface ListedFile {
  readonly path: string;
  readonly label: number | null;
}

const EXTENSIONS = /\.(png|jpe?g|webp)$/i;

/** Files decoded at once: libvips works on other threads meanwhile. */
const AT_ONCE = 4;

/**
 * A folder of images: one subfolder a class, in the order of their names; or images alone, without labels. The files come
 * in one fixed random order, so that every stretch of the topic mixes the classes. Files that start with a dot, and those
 * that are not named .png, .jpg, .jpeg or .webp, are passed over.
 * @throws RepulsorError USAGE when the folder cannot be listed or holds no image
 */
export async function imageFolder(folder: string, settings: ImageFolderSettings = {}): Promise<ImageSource> {
  const { classes, files } = await list(folder);
  if (files.length === 0) {
    throw new RepulsorError('USAGE', `there is no .png, .jpg or .webp file in ${folder} or its subfolders`, {
      hint: 'give a folder with one subfolder of images for each class',
    });
  }
  return {
    id: `folder:${basename(resolve(folder))}`,
    classes,
    total: files.length,
    ...(settings.size && { shape: [settings.size.height, settings.size.width, settings.size.channels] as const }),
    async *images() {
      const order = permutation(0, 'image-folder', 0, files.length);
      const ahead: Promise<SourceImage | UnreadableImage>[] = [];
      for (const i of order) {
        ahead.push(load(folder, files[i]!, settings));
        if (ahead.length >= AT_ONCE) yield await ahead.shift()!;
      }
      yield* ahead;
    },
  };
}

async function list(folder: string): Promise<{ classes: string[]; files: ListedFile[] }> {
  const { folders, images } = await entries(folder);
  const files: ListedFile[] = [];
  for (const [label, name] of folders.entries()) {
    for (const image of (await entries(join(folder, name))).images) files.push({ path: join(name, image), label });
  }
  if (files.length > 0) return { classes: folders, files };
  return { classes: [], files: images.map((path) => ({ path, label: null })) };
}

/** Sorted by code unit, so that no machine's language changes the labels. */
async function entries(folder: string): Promise<{ folders: string[]; images: string[] }> {
  try {
    const all = (await readdir(folder, { withFileTypes: true })).filter(({ name }) => !name.startsWith('.'));
    const named = (wanted: typeof all) => wanted.map(({ name }) => name).sort();
    return {
      folders: named(all.filter((entry) => entry.isDirectory())),
      images: named(all.filter((entry) => !entry.isDirectory() && EXTENSIONS.test(entry.name))),
    };
  } catch (cause) {
    throw new RepulsorError('USAGE', `the folder ${folder} cannot be listed: ${(cause as Error).message}`, {
      hint: 'check its name and that it may be read',
      cause,
    });
  }
}

async function load(
  folder: string,
  { path, label }: ListedFile,
  { size }: ImageFolderSettings,
): Promise<SourceImage | UnreadableImage> {
  try {
    const bytes = await readFile(join(folder, path));
    const encoding: FileEncoding | null = sniffEncoding(bytes);
    if (encoding === null) return { name: path, unreadable: 'it is neither PNG, JPEG nor WebP inside' };
    if (size === undefined) {
      return { name: path, label, bytes, encoding, shape: await readImageShape(bytes, encoding) };
    }
    const shape = [size.height, size.width, size.channels] as const;
    return { name: path, label, bytes: await resizeImageFile(bytes, shape), encoding: 'RAW_U8', shape };
  } catch (error) {
    return { name: path, unreadable: (error as Error).message };
  }
}
