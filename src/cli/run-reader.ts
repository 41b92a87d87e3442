import type { ImageBatchReader } from '../codec/image-batch-reader.ts';
import { openImageReader } from '../registry/open-image-reader.ts';
import type { CommittedRun } from '../trainer/open-run.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import type { Console } from './console.ts';

/** Reads what a run has read, by the schemas in its folder; for others it asks the registry, and keeps nothing. */
export function runReader({ folder }: CommittedRun, { source }: Pipeline, console: Console): ImageBatchReader {
  return openImageReader(source.registry, { run: folder.folder, onWarning: console.warn });
}
