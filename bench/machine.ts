import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { VERSION } from '../src/version.ts';

/** Where figures come from: they mean nothing without it. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memory_bytes: number;
  readonly system: string;
  /** Runnable processes over the last minute, before the benchmark began: above 0 the machine was not quiet. */
  readonly load: number;
  readonly node: string;
  readonly versions: Readonly<Record<string, string>>;
}

export function describeMachine(): Machine {
  const { dependencies } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const named = ['@tensorflow/tfjs-core', 'koffi', 'kafkajs', '@aws-sdk/client-s3'];
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory_bytes: totalmem(),
    system: `${platform()} ${release()} ${arch()}`,
    load: loadavg()[0]!,
    node: process.versions.node,
    versions: {
      repulsor: VERSION,
      ...Object.fromEntries(named.map((name) => [name, dependencies[name]])),
    },
  };
}
