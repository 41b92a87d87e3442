import type { Command } from 'commander';
import type { Table } from './table.ts';

/** What a benchmark is held to. */
export interface Goal {
  readonly value: number;
  /** "<= 2", ">= 1.15": a comparison and a number. */
  readonly goal: string;
  readonly met: boolean;
}

export interface BenchmarkResult {
  /** All that was measured, with units in the names (`_seconds`, `_bytes`, `_ratio`, `_share`). */
  readonly figures: Readonly<Record<string, unknown>>;
  readonly goals: Readonly<Record<string, Goal>>;
  /** The same for people. */
  readonly tables: readonly Table[];
}

/** One file a benchmark; its runner is run.ts. */
export interface Benchmark {
  /** One line for the list of benchmarks. */
  readonly summary: string;
  /** Adds flags of its own, and examples to its help. */
  readonly options: (command: Command) => Command;
  /** `note` tells people how far it is. */
  readonly run: (options: Record<string, unknown>, note: (line: string) => void) => Promise<BenchmarkResult>;
}

const HOLDS = {
  '<=': (value: number, bound: number) => value <= bound,
  '>=': (value: number, bound: number) => value >= bound,
} as const;

/** A value that is not finite meets no goal. */
export function goal(value: number, comparison: keyof typeof HOLDS, bound: number): Goal {
  return { value, goal: `${comparison} ${bound}`, met: Number.isFinite(value) && HOLDS[comparison](value, bound) };
}
