import { RepulsorError } from '../../errors.ts';

export interface Libraries {
  readonly framework: string;
  readonly cc: string;
}

/** setup.js brings the libraries and so knows where they are. It lies at the root, as seen from src/ and from dist/. */
const SETUP = new URL('../../../setup.js', import.meta.url);

/** @throws RepulsorError ENGINE_UNAVAILABLE when TensorFlow's libraries are not installed, or not as they were. */
export async function findLibraries(): Promise<Libraries> {
  const { installedLibraries } = (await import(SETUP.href)) as {
    installedLibraries: () => Promise<(Libraries & { missing?: undefined }) | { missing: string }>;
  };
  const libraries = await installedLibraries();
  if (libraries.missing === undefined) return libraries;
  throw new RepulsorError('ENGINE_UNAVAILABLE', libraries.missing, {
    hint: 'run: node setup.js (it says what it needs), or choose another engine',
  });
}
