import { RepulsorError } from '../../errors.ts';

/** Runs the work; what the system throws becomes LOG_FAILED with the path and the reason. */
export async function asLogError<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RepulsorError || !(error instanceof Error) || !('code' in error)) throw error;
    throw new RepulsorError('LOG_FAILED', `${what}: ${error.message}`, {
      hint: hintOf(error as NodeJS.ErrnoException),
      cause: error,
    });
  }
}

function hintOf({ code, syscall }: NodeJS.ErrnoException): string {
  if (syscall === 'link' || code === 'ENOTSUP' || code === 'EOPNOTSUPP' || code === 'ENOSYS') {
    return 'The file system must have hard links (exFAT has none): put the log on another one.';
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'The disk is full: free some space.';
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return 'Check the permissions of the folder.';
  if (code === 'EMFILE' || code === 'ENFILE') return 'Too many open files: raise the limit (ulimit -n).';
  return 'Check the disk and the folder.';
}
