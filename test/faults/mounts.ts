import { execFileSync } from 'node:child_process';

/** File systems made for a trial, as root may. Whatever is left is taken away when the process ends. */

const mounted = new Set<string>();
process.once('exit', () => {
  for (const folder of mounted) unmount(folder);
});

/** Whether this process may mount. */
export const mayMount = (): boolean => process.platform === 'linux' && process.getuid?.() === 0;

/** A file system in memory on `folder`, with room for so much; false when it cannot be had (a container without the right to). */
export function mountMemory(folder: string, bytes: number, files: number): boolean {
  return mount(folder, ['-t', 'tmpfs', '-o', `size=${bytes},nr_inodes=${files}`, 'tmpfs', folder]);
}

/** Makes what lies in `folder` read-only, until it is unmounted. */
export function mountReadOnly(folder: string): boolean {
  return mount(folder, ['--bind', folder, folder]) && mount(folder, ['-o', 'remount,ro,bind', folder]);
}

export function unmount(folder: string): void {
  execFileSync('umount', [folder], { stdio: 'ignore' });
  mounted.delete(folder);
}

function mount(folder: string, args: readonly string[]): boolean {
  if (!mayMount()) return false;
  try {
    execFileSync('mount', args, { stdio: 'ignore' });
    mounted.add(folder);
    return true;
  } catch {
    return false;
  }
}
