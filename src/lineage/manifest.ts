import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isCode, replaceAtomically } from '../files/durable-file.ts';
import { SEGMENT_VERSION } from './segment-format.ts';

/*
 * index.json: {"formatVersion", "run", "segments": [name, ...]}
 *
 * The segments that make the index, in the order of the lineage. It is replaced in one step, and the files that it names
 * are durable before it is; files that it does not name mean nothing. What a segment covers stands in the segment.
 */

const FILE = 'index.json';

/** The names of the run's segments; null when there is no index, or none that this version can use. */
export async function readManifest(folder: string, run: string): Promise<string[] | null> {
  let text: string;
  try {
    text = await readFile(join(folder, FILE), 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
  try {
    const { formatVersion, run: of, segments } = JSON.parse(text);
    const usable = formatVersion === SEGMENT_VERSION && of === run && Array.isArray(segments);
    return usable && segments.every(isSegmentName) ? segments : null;
  } catch {
    return null;
  }
}

export async function writeManifest(folder: string, run: string, segments: readonly string[]): Promise<void> {
  const manifest = { formatVersion: SEGMENT_VERSION, run, segments };
  await replaceAtomically(join(folder, FILE), [Buffer.from(`${JSON.stringify(manifest)}\n`)]);
}

export function isSegmentName(name: unknown): name is string {
  return typeof name === 'string' && /^[0-9a-f-]{36}\.segment$/.test(name);
}
