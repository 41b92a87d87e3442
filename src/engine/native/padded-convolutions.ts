import * as tf from '@tensorflow/tfjs-core';

/** Kernels of convolutions, by where their image is: an input, or an output whose shape is an attribute. */
const KERNELS: Record<string, 'input' | 'output'> = {
  Conv2D: 'input',
  FusedConv2D: 'input',
  DepthwiseConv2dNative: 'input',
  FusedDepthwiseConv2D: 'input',
  Conv2DBackpropFilter: 'input',
  DepthwiseConv2dNativeBackpropFilter: 'input',
  Conv2DBackpropInput: 'output',
  DepthwiseConv2dNativeBackpropInput: 'output',
};

/** Before and after, for each axis of the image. */
type Paddings = [number, number][];

interface Padded {
  readonly pad: 'same' | 'valid' | number | Paddings;
  readonly dataFormat?: 'NHWC' | 'NCHW';
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
  readonly inputShape?: number[];
}

/**
 * tfjs-node knows a padding by sizes in some of these kernels, and in some of those only as a list. Here the image itself is
 * padded with zeros, and the convolution is a `valid` one, forward and backward.
 */
export function padConvolutions(backendName: string): void {
  for (const [kernelName, image] of Object.entries(KERNELS)) {
    const { kernelFunc: valid } = tf.getKernel(kernelName, backendName);
    tf.unregisterKernel(kernelName, backendName);
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: (given) => {
        const paddings = sizesOf(given.attrs as unknown as Padded);
        if (paddings === null) return valid(given);
        return image === 'input' ? ofPadded(valid, given, paddings) : cutToImage(valid, given, paddings);
      },
    });
  }
}

/** Null for a padding by name, and for an output that is rounded up, which only the kernel itself can refuse. */
function sizesOf({ pad, dataFormat = 'NHWC', dimRoundingMode = 'floor' }: Padded): Paddings | null {
  if (typeof pad === 'string' || dimRoundingMode !== 'floor') return null;
  if (typeof pad !== 'number') return pad;
  const [none, both]: Paddings = [
    [0, 0],
    [pad, pad],
  ];
  return dataFormat === 'NHWC' ? [none!, both!, both!, none!] : [none!, none!, both!, both!];
}

type Kernel = tf.KernelFunc;
type Given = Parameters<Kernel>[0];

const validAttributes = (given: Given, more: object = {}): Given['attrs'] =>
  ({ ...given.attrs, pad: 'valid', dimRoundingMode: undefined, ...more }) as unknown as NonNullable<Given['attrs']>;

function ofPadded(valid: Kernel, given: Given, paddings: Paddings): ReturnType<Kernel> {
  return tf.tidy(() => {
    const x = tf.pad(given.inputs['x'] as tf.Tensor, paddings);
    return valid({ ...given, inputs: { ...given.inputs, x }, attrs: validAttributes(given) }) as tf.Tensor;
  });
}

function cutToImage(valid: Kernel, given: Given, paddings: Paddings): ReturnType<Kernel> {
  const { inputShape } = given.attrs as unknown as Required<Padded>;
  return tf.tidy(() => {
    const padded = inputShape.map((size, axis) => size + paddings[axis]![0] + paddings[axis]![1]);
    const dx = valid({ ...given, attrs: validAttributes(given, { inputShape: padded }) }) as tf.Tensor;
    const from = paddings.map(([before]) => before);
    return tf.slice(dx, from, inputShape);
  });
}
