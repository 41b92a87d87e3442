import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createJiti } from 'jiti';
import { RepulsorError } from '../errors.ts';
import { demandPath } from '../log/log-url.ts';
import { checkPipeline } from '../trainer/check-pipeline.ts';
import type { Pipeline } from '../trainer/pipeline.ts';

/** `a.b.c` set to a value, in a copy. Only settings that are there can be set: the check names any other. */
function withSetting(settings: unknown, path: readonly string[], value: unknown): unknown {
  if (path.length === 0) return value;
  const [key, ...rest] = path as [string, ...string[]];
  if (Array.isArray(settings) && /^\d+$/.test(key) && Number(key) < settings.length)
    return settings.with(Number(key), withSetting(settings[Number(key)], rest, value));
  const object = (settings ?? {}) as Record<string, unknown>;
  return { ...object, [key]: withSetting(object[key], rest, value) };
}

/** `optimizer.learningRate=1e-3` -> path and value; the value is JSON, or else text. */
function parseOverride(text: string): { path: string[]; value: unknown } {
  const at = text.indexOf('=');
  if (at < 1)
    throw new RepulsorError('USAGE', `--set ${text} is not PATH=VALUE`, {
      hint: 'for example: --set optimizer.learningRate=1e-3',
    });
  const raw = text.slice(at + 1);
  let value: unknown = raw;
  try {
    value = JSON.parse(raw);
  } catch {
    // Not JSON: text, as `--set sampling.solver=heun` means it.
  }
  return { path: text.slice(0, at).split('.'), value };
}

/** Short flags are settings too: as overrides, by their paths, those that were given; what `--set` gave comes after them. */
export function asOverrides(flags: Readonly<Record<string, unknown>>, set: readonly string[] = []): string[] {
  const given = Object.entries(flags).filter(([, value]) => value !== undefined);
  return [...given.map(([path, value]) => `${path}=${JSON.stringify(value)}`), ...set];
}

/** Settings with `PATH=VALUE` overrides laid on, in a copy. @throws RepulsorError USAGE for an override that is none */
export function withOverrides(settings: unknown, overrides: readonly string[]): unknown {
  return overrides.reduce((laid, override) => {
    const { path, value } = parseOverride(override);
    return withSetting(laid, path, value);
  }, settings);
}

/**
 * The pipeline that a module exports by default, with overrides laid on, checked. The module is loaded at run time,
 * TypeScript or JavaScript, wherever it lies; `repulsor` in its imports means this very package.
 * @throws RepulsorError USAGE when there is no such module, CONFIG when its settings cannot be used
 */
export async function loadPipeline(file: string, overrides: readonly string[]): Promise<Pipeline> {
  demandPath(file, 'a pipeline');
  const path = resolve(file);
  await access(path).catch(() => {
    throw new RepulsorError('USAGE', `there is no pipeline at ${file}`, {
      hint: 'name a module that exports definePipeline({...}) by default, such as pipelines/digits.ts',
    });
  });
  const jiti = createJiti(import.meta.url, {
    fsCache: false,
    virtualModules: { repulsor: await import('../index.ts') },
  });
  let exported: unknown;
  try {
    exported = await jiti.import(path, { default: true });
  } catch (cause) {
    throw new RepulsorError('CONFIG', `${file} could not be loaded: ${(cause as Error).message}`, {
      hint: 'run it through a type check; a pipeline imports from "repulsor" and from your own files',
      cause,
    });
  }
  return checkPipeline(withOverrides(exported, overrides), file);
}
