/** What one record may cost. Checked before anything is decoded, so that no record can exhaust the memory. */
export interface ImageLimits {
  /** Bytes of the record as it lies in the log. */
  readonly recordBytes: number;
  /** Images in a record. */
  readonly images: number;
  /** Height and width of an image. */
  readonly side: number;
  /** Channels of a latent; pixels have 1, 3 or 4. */
  readonly channels: number;
  /** Bytes of all images of a record once decoded (a u8 element counts 1, a latent's 4). */
  readonly decodedBytes: number;
}

export const DEFAULT_LIMITS: ImageLimits = {
  recordBytes: 16 * 2 ** 20,
  images: 4096,
  side: 4096,
  channels: 64,
  decodedBytes: 256 * 2 ** 20,
};
