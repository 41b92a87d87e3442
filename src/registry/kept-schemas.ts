import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SchemaById } from '../codec/confluent.ts';
import { RepulsorError } from '../errors.ts';
import { isCode, makeFolder, replaceAtomically } from '../files/durable-file.ts';

/*
 * FOLDER/ID-SHA256.avsc: the text of the schema ID as the registry gave it, and the first 16 hex digits of its SHA-256.
 */

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

/**
 * Looks for a schema in `folder` before it asks `schemaById`, so that what a run has read once it can read again without a
 * registry: for good, since an id's schema never changes. `write`: keeps what is asked for, durable before it is used.
 * A file that is damaged counts as none. @throws RepulsorError STORE_FAILED
 */
export function keptSchemas(
  folder: string,
  schemaById: SchemaById,
  { write }: { readonly write: boolean },
): SchemaById {
  return async (id) => {
    const kept = await find(folder, id);
    if (kept !== null) return kept;
    const schema = await schemaById(id);
    if (schema !== null && write) await keep(join(folder, `${id}-${digestOf(schema)}.avsc`), folder, schema);
    return schema;
  };
}

async function find(folder: string, id: number): Promise<string | null> {
  try {
    for (const file of await readdir(folder)) {
      const [, digest] = new RegExp(`^${id}-([0-9a-f]{16})\\.avsc$`).exec(file) ?? [];
      if (digest === undefined) continue;
      const text = await readFile(join(folder, file), 'utf8');
      if (digestOf(text) === digest) return text;
    }
    return null;
  } catch (cause) {
    if (isCode(cause, 'ENOENT')) return null;
    throw failed('read', folder, cause);
  }
}

async function keep(path: string, folder: string, schema: string): Promise<void> {
  try {
    await makeFolder(folder);
    await replaceAtomically(path, [Buffer.from(schema)]);
  } catch (cause) {
    throw failed('write', path, cause);
  }
}

function failed(what: 'read' | 'write', path: string, cause: unknown): RepulsorError {
  return new RepulsorError('STORE_FAILED', `cannot ${what} ${path}: ${(cause as Error).message}`, {
    hint: "It keeps the schemas of the run's records. Check that it can be read and written, and that its disk has room.",
    cause,
  });
}
