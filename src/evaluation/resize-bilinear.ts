type Shape = readonly [height: number, width: number, channels: number];

/**
 * Images (n, H, W, C) at another size, each value from the four about it, pixels' centres at half numbers and no smoothing where
 * the size falls: PyTorch's interpolate(mode='bilinear', align_corners=False), as FID is published with.
 */
export function resizeBilinear(
  images: Float32Array,
  [h, w, c]: Shape,
  [toH, toW]: readonly [number, number],
): Float32Array {
  if (h === toH && w === toW) return images;
  const n = images.length / (h * w * c);
  const out = new Float32Array(n * toH * toW * c);
  const rows = places(h, toH);
  const columns = places(w, toW);
  let at = 0;
  for (let i = 0; i < n; i++)
    for (const { low: y0, high: y1, share: fy } of rows)
      for (const { low: x0, high: x1, share: fx } of columns) {
        const [a, b] = [((i * h + y0) * w + x0) * c, ((i * h + y0) * w + x1) * c];
        const [d, e] = [((i * h + y1) * w + x0) * c, ((i * h + y1) * w + x1) * c];
        for (let k = 0; k < c; k++, at++) {
          const top = images[a + k] * (1 - fx) + images[b + k] * fx;
          const bottom = images[d + k] * (1 - fx) + images[e + k] * fx;
          out[at] = top * (1 - fy) + bottom * fy;
        }
      }
  return out;
}

/** For each place of the new axis, the two of the old it lies between, and how near to the second. */
function places(from: number, to: number): { low: number; high: number; share: number }[] {
  return Array.from({ length: to }, (_, i) => {
    const at = Math.max(0, ((i + 0.5) * from) / to - 0.5);
    const low = Math.min(from - 1, Math.floor(at));
    return { low, high: Math.min(from - 1, low + 1), share: at - low };
  });
}
