/** What a byte of a pixel is to a model: u8 -> [-1, 1], as float32. */
export const UNIT: Float32Array = Float32Array.from({ length: 256 }, (_, value) => value / 127.5 - 1);

/** Pixels as bytes to what a model takes; what are floats already stays as it is. The train step does the same on the device. */
export function unitPixels(pixels: Uint8Array | Float32Array): Float32Array {
  if (pixels instanceof Float32Array) return pixels;
  const floats = new Float32Array(pixels.length);
  for (let i = 0; i < pixels.length; i++) floats[i] = UNIT[pixels[i]!]!;
  return floats;
}
