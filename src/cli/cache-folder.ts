import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where references are kept: beside the engine's libraries (setup.js), outside of any clone. */
export function cacheFolder(): string {
  const { REPULSOR_CACHE, XDG_CACHE_HOME } = process.env;
  return join(REPULSOR_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'repulsor'), 'references');
}
