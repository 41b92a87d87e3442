import { join } from 'node:path';
import { type ImageBatchReader, imageBatchReader } from '../codec/image-batch-reader.ts';
import { keptSchemas } from './kept-schemas.ts';
import { type RegistrySettings, schemaRegistry } from './schema-registry.ts';

export interface ImageReaderSettings extends RegistrySettings {
  /** Folder of a run: schemas that it has used are in its `schemas`. */
  readonly run?: string;
  /** Whether those that it has not used yet are put there: by who trains the run. Default false. */
  readonly keep?: boolean;
}

/**
 * What reads the image batches of a pipeline's topics, in either format; `registry` is its `source.registry`. One for a process:
 * it asks for each schema once. @throws RepulsorError CONFIG for a URL that is none
 */
export function openImageReader(registry: string | null, settings: ImageReaderSettings = {}): ImageBatchReader {
  if (registry === null) return imageBatchReader(null);
  const { run, keep = false } = settings;
  const asked = schemaRegistry(registry, settings);
  return imageBatchReader(run === undefined ? asked : keptSchemas(join(run, 'schemas'), asked, { write: keep }));
}
