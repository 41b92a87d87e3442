import { uniforms } from '../random/philox.ts';

/** Most that an image is turned (radians), scaled, and moved (share of its side), each way. */
const TURN = 0.2;
const SCALE = 0.12;
const SHIFT = 0.08;

/**
 * An image (H, W, C) turned, scaled and moved a little about its centre, by bilinear interpolation; past its border the border
 * goes on. A pure function of (seed, number).
 */
export function perturb(
  image: Float32Array,
  [h, w, c]: readonly [number, number, number],
  seed: number,
  number: number,
): Float32Array {
  const [turn, scale, dy, dx] = [...uniforms(seed, 'perturb', number, 4)].map((u) => 2 * u - 1) as [
    number,
    number,
    number,
    number,
  ];
  const size = 1 + SCALE * scale;
  const [cos, sin] = [Math.cos(TURN * turn) / size, Math.sin(TURN * turn) / size];
  const out = new Float32Array(image.length);
  const [cy, cx] = [(h - 1) / 2, (w - 1) / 2];
  for (let y = 0, at = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      const [oy, ox] = [y - cy - SHIFT * dy * h, x - cx - SHIFT * dx * w];
      const fromY = Math.min(h - 1, Math.max(0, cy + cos * oy - sin * ox));
      const fromX = Math.min(w - 1, Math.max(0, cx + sin * oy + cos * ox));
      const [y0, x0] = [Math.floor(fromY), Math.floor(fromX)];
      const [y1, x1] = [Math.min(h - 1, y0 + 1), Math.min(w - 1, x0 + 1)];
      const [fy, fx] = [fromY - y0, fromX - x0];
      for (let k = 0; k < c; k++, at++) {
        const top = image[(y0 * w + x0) * c + k] * (1 - fx) + image[(y0 * w + x1) * c + k] * fx;
        const bottom = image[(y1 * w + x0) * c + k] * (1 - fx) + image[(y1 * w + x1) * c + k] * fx;
        out[at] = top * (1 - fy) + bottom * fy;
      }
    }
  return out;
}
