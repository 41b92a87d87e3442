import { BadRecord } from '../codec/bad-record.ts';
import { isLatent } from '../codec/images.ts';
import type { ImageBatch } from '../codec/records.ts';
import { RepulsorError } from '../errors.ts';
import type { LatentsEncoder } from './position.ts';

/**
 * Holds the latents of a run to one encoder, that of the first record which brings any: latents of two encoders mean
 * different things, and nothing in their numbers would tell. Records that name none are such a kind too. Returns what is
 * settled after this record; pixels settle nothing.
 * @throws BadRecord encoder, for latents of another one; RepulsorError CONFIG, when the first are for another scale
 */
export function settleEncoder(
  settled: LatentsEncoder | null,
  batch: Pick<ImageBatch, 'encoding' | 'encoder'>,
  latentScale: number,
): LatentsEncoder | null {
  if (!isLatent(batch)) return settled;
  const { encoder } = batch;
  const sha256 = encoder?.sha256 ?? null;
  const isOfScale = encoder === null || encoder.scale === latentScale;
  if (settled === null) {
    if (!isOfScale) throw otherScale(encoder.scale, latentScale);
    return { sha256, decoder: encoder?.decoder ?? null };
  }
  if (settled.sha256 !== sha256)
    throw new BadRecord(
      'encoder',
      `its latents are of ${named(sha256)}; those of the run are of ${named(settled.sha256)}`,
    );
  if (!isOfScale) throw new BadRecord('encoder', `its latents are for the scale ${encoder.scale}, not ${latentScale}`);
  return settled;
}

/** As messages name it. */
const named = (sha256: string | null): string =>
  sha256 === null ? 'an encoder that is not named' : `the encoder ${sha256.slice(0, 12)}...`;

function otherScale(scale: number, latentScale: number): RepulsorError {
  return new RepulsorError(
    'CONFIG',
    `the latents were encoded to be multiplied by ${scale}; operators.latentScale is ${latentScale}`,
    { hint: `set it to ${scale} (--set operators.latentScale=${scale})` },
  );
}
