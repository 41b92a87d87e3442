import { expect, test } from 'vitest';
import { parameterLayout } from '../../src/model/parameters.ts';
import { sitSpecs } from '../../src/model/sit.ts';
import { SIT_MODELS, type SiTName, sitModel } from '../../src/model/sizes.ts';

test('every published model is there by name, and has the parameters of its size and patch', () => {
  const sizes = { S: [12, 384, 6], B: [12, 768, 12], L: [24, 1024, 16], XL: [28, 1152, 16] } as const;
  const names = Object.keys(sizes).flatMap((size) => [2, 4, 8].map((patch) => `SiT-${size}/${patch}`));
  expect(Object.keys(SIT_MODELS)).toEqual(names);
  for (const [size, [depth, width, heads]] of Object.entries(sizes))
    for (const patch of [2, 4, 8]) {
      const model = sitModel(`SiT-${size}/${patch}` as SiTName);
      expect(model).toEqual({ depth, width, heads, patch });
      const settings = { mlpRatio: 4, timeScale: 1, learnSigma: true, input: [32, 32, 4], classes: 1000 } as const;
      // A block has 18 D^2 + 15 D; patches 4 p^2 D + D; time 257 D + D^2 + D; labels 1001 D; the last layer 2 D^2 + 2 D and 8 p^2 (D + 1).
      const count = depth * (18 * width ** 2 + 15 * width) + 3 * width ** 2 + (4 * patch ** 2 + 1262) * width;
      expect(parameterLayout(sitSpecs({ ...settings, ...model })).size).toBe(count + 8 * patch ** 2 * (width + 1));
    }
});

test('another name is refused with those there are', () => {
  expect(() => sitModel('SiT-M/2' as SiTName)).toThrow(
    expect.objectContaining({ code: 'CONFIG', hint: expect.stringMatching(/SiT-S\/2, .*SiT-XL\/8$/) }),
  );
});
