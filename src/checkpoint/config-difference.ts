import { canonicalJson } from './canonical-json.ts';

export interface SettingDifference {
  /** "model.depth", "source.partitions[2]". */
  readonly path: string;
  /** Canonical JSON, or "absent". */
  readonly committed: string;
  readonly wanted: string;
}

/**
 * The settings in which two configurations differ, by path. `free` names those that may differ, each with all that lies
 * below it ("commit" frees "commit.everySteps").
 */
export function differingSettings(committed: unknown, wanted: unknown, free: readonly string[]): SettingDifference[] {
  const a = leaves(committed);
  const b = leaves(wanted);
  return [...new Set([...a.keys(), ...b.keys()])]
    .filter((path) => a.get(path) !== b.get(path) && !free.some((f) => path === f || /^[.[]/.test(below(path, f))))
    .sort()
    .map((path) => ({ path, committed: a.get(path) ?? 'absent', wanted: b.get(path) ?? 'absent' }));
}

/** What follows `prefix` in `path`; empty when it does not begin with it. */
function below(path: string, prefix: string): string {
  return path.startsWith(prefix) ? path.slice(prefix.length) : '';
}

function leaves(value: unknown, path = '', into = new Map<string, string>()): Map<string, string> {
  if (Array.isArray(value) && value.length > 0) {
    value.forEach((v, i) => {
      leaves(v, `${path}[${i}]`, into);
    });
  } else if (typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0) {
    for (const [k, v] of Object.entries(value)) if (v !== undefined) leaves(v, path === '' ? k : `${path}.${k}`, into);
  } else if (value !== undefined) into.set(path, canonicalJson(value, path));
  return into;
}
