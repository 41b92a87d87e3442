import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';

/**
 * Who a process is, in a way that a later process can check. A pid alone is not enough: it is used again after the
 * process ended, and means nothing on another host or in another container.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to the process's start; null where /proc does not tell. */
  readonly started: string | null;
  /** The kernel's boot id and the pid namespace, or the host's name where /proc does not tell. */
  readonly scope: string;
  readonly host: string;
}

let own: Promise<ProcessIdentity> | undefined;

export function ownIdentity(): Promise<ProcessIdentity> {
  own ??= (async () => ({
    pid: process.pid,
    started: await startOf(process.pid),
    scope: await readScope(),
    host: hostname(),
  }))();
  return own;
}

/** `unknown` when the process lived where this one can not see: another host, container or boot of a host without /proc. */
export async function livenessOf(identity: ProcessIdentity): Promise<'alive' | 'dead' | 'unknown'> {
  const self = await ownIdentity();
  if (identity.scope !== self.scope) return rebooted(identity, self) ? 'dead' : 'unknown';
  if (identity.started !== null) return (await startOf(identity.pid)) === identity.started ? 'alive' : 'dead';
  try {
    process.kill(identity.pid, 0);
    return 'alive';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH' ? 'dead' : 'alive';
  }
}

/** The same host name under another boot id: whatever ran before the boot is gone. */
function rebooted(identity: ProcessIdentity, self: ProcessIdentity): boolean {
  const [thenBoot, thenSpace] = identity.scope.split(' ');
  const [nowBoot, nowSpace] = self.scope.split(' ');
  // The first pid namespace has a fixed number, so equal ones mean: both outside of any container.
  const outside = thenSpace === INITIAL_PID_NAMESPACE && nowSpace === INITIAL_PID_NAMESPACE;
  return outside && identity.host === self.host && thenBoot !== nowBoot;
}

const INITIAL_PID_NAMESPACE = 'pid:[4026531836]'; // PROC_PID_INIT_INO, include/linux/proc_ns.h

async function readScope(): Promise<string> {
  try {
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    return `${boot} ${await readlink('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

/** Field 22 of /proc/PID/stat (proc(5)); null when there is no such process, or no /proc. A zombie writes no more: null too. */
async function startOf(pid: number): Promise<string | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}
