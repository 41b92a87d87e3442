import { readFileSync } from 'node:fs';

/**
 * Whether the CPU multiplies bfloat16 faster than float32. AMX does. AVX512_BF16 alone does not: its one instruction has half
 * the rate of float32's two where this was measured (docs/decisions.md), and without either it is emulated.
 */
export function cpuHasFastBfloat16(cpuInfo = readCpuInfo()): boolean {
  return /^flags\s*:.*\bamx_bf16\b/m.test(cpuInfo);
}

/** Empty where there is no such file: not Linux. */
function readCpuInfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return '';
  }
}
