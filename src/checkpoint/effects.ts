/**
 * The outward effects of one commit, in their order. A crash test stops the process at each of them; nothing else may
 * depend on them.
 *
 * Per blob in a folder: `write` (once a slice), `fsync`, `rename`, `fsync-folder`; or, where its bytes are there already,
 * `link` (under another owner's name) and `fsync-folder`. Per blob in S3: `put-object`; or `create-upload`, `upload-part` (several at
 * a time) and `complete-upload`; or, where its bytes are there already under another owner's name, `copy-object`.
 * Then one transaction: `begin`, `negatives`, `journal`, `dead-letters` (each once an append), `commit-record`, `offsets`, `commit`.
 * Then what no commit needs any more: `remove` (a blob), `remove-unfinished` (a temporary file, an upload).
 */
export type EffectName =
  | 'write'
  | 'fsync'
  | 'rename'
  | 'link'
  | 'fsync-folder'
  | 'put-object'
  | 'copy-object'
  | 'create-upload'
  | 'upload-part'
  | 'complete-upload'
  | 'begin'
  | 'negatives'
  | 'journal'
  | 'dead-letters'
  | 'commit-record'
  | 'offsets'
  | 'commit'
  | 'remove'
  | 'remove-unfinished';

export type OnEffect = (moment: 'before' | 'after', effect: EffectName) => void | Promise<void>;

/** Runs one effect between its two moments. */
export async function performed<T>(
  onEffect: OnEffect | undefined,
  effect: EffectName,
  run: () => Promise<T>,
): Promise<T> {
  await onEffect?.('before', effect);
  const result = await run();
  await onEffect?.('after', effect);
  return result;
}
