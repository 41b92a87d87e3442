import type { Shape } from './images.ts';

/** Ours have their channels last, PyTorch's first. Both make a copy. */

/** (n, C, H, W) -> (n, H, W, C). `shape`: (H, W, C). */
export function channelsLast(data: Float32Array, [h, w, c]: Shape): Float32Array {
  return reordered(data, (n, y, x, k) => ((n * c + k) * h + y) * w + x, [h, w, c]);
}

/** (n, H, W, C) -> (n, C, H, W). `shape`: (H, W, C). */
export function channelsFirst(data: Float32Array, [h, w, c]: Shape): Float32Array {
  return reordered(data, (n, k, y, x) => ((n * h + y) * w + x) * c + k, [c, h, w]);
}

/** Elements in the order (n, y, x, k), each taken from `at`. */
function reordered(data: Float32Array, at: (n: number, y: number, x: number, k: number) => number, [h, w, c]: Shape) {
  const out = new Float32Array(data.length);
  let i = 0;
  for (let n = 0; i < out.length; n++)
    for (let y = 0; y < h; y++)
      for (let x = 0; x < w; x++) for (let k = 0; k < c; k++) out[i++] = data[at(n, y, x, k)]!;
  return out;
}
