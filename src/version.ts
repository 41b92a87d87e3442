import { readFileSync } from 'node:fs';

/** This software's version, from package.json: one folder up from here both in a clone (src/) and when built (dist/). */
export const VERSION: string = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;
