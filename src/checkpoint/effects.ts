/**
 * The outward effects of one commit, in their order. A crash test stops the process at each of them; nothing else may
 * depend on them.
 *
 * Per blob: `write` (once a slice), `fsync`, `rename`, `fsync-folder`; or, where its bytes are there already, `link` (under
 * another owner's name) and `fsync-folder`. Then one transaction: `begin`, `negatives`, `journal`,
 * `dead-letters` (each once an append), `commit-record`, `offsets`, `commit`.
 */
export type EffectName =
  | 'write'
  | 'fsync'
  | 'rename'
  | 'link'
  | 'fsync-folder'
  | 'begin'
  | 'negatives'
  | 'journal'
  | 'dead-letters'
  | 'commit-record'
  | 'offsets'
  | 'commit';

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
