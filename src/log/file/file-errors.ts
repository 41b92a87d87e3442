import { RepulsorError } from '../../errors.ts';

/** Runs the work; what the system throws becomes LOG_FAILED with the path and the reason. */
export async function asLogError<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RepulsorError || !(error instanceof Error) || !('code' in error)) throw error;
    throw new RepulsorError('LOG_FAILED', `${what}: ${error.message}`, {
      hint: hintOf(String(error.code)),
      cause: error,
    });
  }
}

function hintOf(code: string): string {
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'The disk is full: free some space.';
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return 'Check the permissions of the folder.';
  if (code === 'EMFILE' || code === 'ENFILE') return 'Too many open files: raise the limit (ulimit -n).';
  if (code === 'ENOTSUP' || code === 'EOPNOTSUPP' || code === 'ENOSYS') {
    return 'The file system must have hard links: put the log on another one.';
  }
  return 'Check the disk and the folder.';
}
