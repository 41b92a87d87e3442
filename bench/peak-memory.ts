import { readFileSync, writeFileSync } from 'node:fs';

/** Bytes resident now. */
export function residentBytes(): number {
  return process.memoryUsage.rss();
}

/**
 * The most bytes resident since the last `forgetPeak`, from Linux's VmHWM; null where there is no such thing.
 * It sees what comes and goes between two looks.
 */
export function peakBytes(): number | null {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))!;
    return Number(kilobytes) * 1024;
  } catch {
    return null;
  }
}

/** The peak begins anew at what is resident now (proc(5), clear_refs: 5). */
export function forgetPeak(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Not Linux: peakBytes is null as well.
  }
}
