import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine, HostTensor, Tensors } from '../../src/engine/engine.ts';
import { normals } from '../../src/random/philox.ts';
import { bytesOf, difference, type Fn, float, int, OPEN, openWhole, runOnce } from './engines.ts';

/** What no model of ours does, and a user's may: compiled, against tfjs's own JavaScript op by op; and what is refused, by name. */

const SEED = Number(process.env['REPULSOR_TEST_SEED'] ?? 1);
const random = (name: string, shape: number[]): HostTensor =>
  float(shape, normals(SEED, name, 0, tf.util.sizeFromShape(shape)));

const x = random('x', [4, 6, 8]);
const y = random('y', [4, 6, 8]);
const image = random('image', [2, 9, 9, 3]);
const filter = random('filter', [3, 3, 3, 4]);
const each = random('each', [3, 3, 3, 2]);
const six = random('six', [2, 3, 2, 3, 2, 3]);
const none = float([0, 3], []);
const odd = float([9], [Number.NaN, Infinity, -Infinity, 0, -0, 1, -1, 2.5, -2.5]);
const other = float([9], [1, Number.NaN, Infinity, -Infinity, 3, 0, -0, 2, 1.5]);
const whole = int([7], [-7, -3, -1, 0, 1, 3, 7]);
const divisor = int([7], [2, -2, 3, 5, -5, 2, -2]);
const mean = random('mean', [3]);
const variance = float([3], [1, 2, 3]);

type Given = Record<string, tf.Tensor>;
type Case = [Record<string, HostTensor>, (inputs: Given) => tf.Tensor | tf.Tensor[]];
const sides: [number, number][] = [
  [0, 0],
  [1, 2],
  [2, 1],
  [0, 0],
];
// tfjs's types know sizes for each side of a convolution by a name that it does not export.
const uneven = sides as never;
const conv = (image: tf.Tensor, filter: tf.Tensor, ...rest: unknown[]): tf.Tensor =>
  (tf.conv2d as (...args: unknown[]) => tf.Tensor)(image, filter, ...rest);
const depthwise = (image: tf.Tensor, filter: tf.Tensor, ...rest: unknown[]): tf.Tensor =>
  (tf.depthwiseConv2d as (...args: unknown[]) => tf.Tensor)(image, filter, ...rest);
const squares = (t: tf.Tensor): tf.Scalar => tf.sum(tf.square(t));
const gradient = (f: (t: tf.Tensor) => tf.Tensor, at: tf.Tensor): tf.Tensor => tf.grad((t) => squares(f(t)))(at);

const CASES: Record<string, Case> = {
  // Convolutions
  'conv2d padded by a number, forward and backward': [
    { image, filter },
    ({ image, filter }) => [
      conv(image!, filter!, 2, 1),
      gradient((f) => conv(image!, f, 2, 1), filter!),
      gradient((of) => conv(of, filter!, 2, 1), image!),
    ],
  ],
  'conv2d padded unevenly, forward and backward': [
    { image, filter },
    ({ image, filter }) => [
      conv(image!, filter!, 1, uneven),
      gradient((f) => conv(image!, f, 1, uneven), filter!),
      gradient((of) => conv(of, filter!, 1, uneven), image!),
    ],
  ],
  'conv2d dilated, and with channels first': [
    { image, filter },
    ({ image, filter }) => [
      conv(image!, filter!, 1, 'same', 'NHWC', 2),
      conv(tf.transpose(image!, [0, 3, 1, 2]), filter!, 1, 2, 'NCHW'),
    ],
  ],
  'depthwise convolutions, forward and backward': [
    { image, each },
    ({ image, each }) => [
      depthwise(image!, each!, 1, 'same'),
      depthwise(image!, each!, 1, 'valid', 'NHWC', 2),
      depthwise(image!, each!, 1, 1),
      gradient((f) => depthwise(image!, f, 1, uneven), each!),
      gradient((of) => depthwise(of, each!, 2, 1), image!),
    ],
  ],
  'transposed and separable convolutions, and in one and three dimensions': [
    {
      image,
      each,
      points: random('points', [1, 1, 6, 4]),
      up: random('up', [3, 3, 5, 3]),
      cube: random('cube', [1, 3, 3, 3, 4]),
    },
    ({ image, each, points, up, cube }) => [
      tf.separableConv2d(image as tf.Tensor4D, each as tf.Tensor4D, points as tf.Tensor4D, 1, 'same'),
      tf.conv2dTranspose(image as tf.Tensor4D, up as tf.Tensor4D, [2, 18, 18, 5], 2, 'same'),
      tf.conv1d(
        tf.reshape(image!, [2, 81, 3]) as tf.Tensor3D,
        tf.slice(up!, [0, 0, 0, 0], [3, 1, 3, 2]).reshape([3, 3, 2]) as tf.Tensor3D,
        1,
        'same',
      ),
      tf.conv3d(
        tf.reshape(image!, [2, 3, 3, 9, 3]) as tf.Tensor5D,
        tf.reshape(tf.slice(cube!, [0, 0, 0, 0, 0], [1, 3, 3, 3, 2]), [1, 3, 3, 3, 2]) as tf.Tensor5D,
        1,
        'same',
      ),
    ],
  ],
  'fused ops of tfjs': [
    { image, filter, bias: random('bias', [4]), a: random('a', [3, 4]), b: random('b', [4, 4]) },
    ({ image, filter, bias, a, b }) => [
      tf.fused.conv2d({
        x: image as tf.Tensor4D,
        filter: filter as tf.Tensor4D,
        strides: 1,
        pad: 1,
        bias: bias!,
        activation: 'relu',
      }),
      tf.fused.matMul({ a: a!, b: b!, bias: bias!, activation: 'sigmoid' as tf.fused.Activation }),
    ],
  ],
  'batch and local response normalisation, forward and backward': [
    { image, mean, variance },
    ({ image, mean, variance }) => {
      const [m, v] = [mean as tf.Tensor1D, variance as tf.Tensor1D];
      const norm = (of: tf.Tensor) => tf.batchNorm(of, m, v, tf.mul(v, 0.1), tf.add(v, 1));
      const local = (of: tf.Tensor) => tf.localResponseNormalization(of as tf.Tensor4D, 2);
      return [norm(image!), gradient(norm, image!), local(image!), gradient(local, image!)];
    },
  ],
  'pooling, in two and three dimensions, forward and backward': [
    { image },
    ({ image }) => {
      const most = (of: tf.Tensor) => tf.maxPool(of as tf.Tensor4D, 3, 2, 'same');
      const usual = (of: tf.Tensor) => tf.avgPool(of as tf.Tensor4D, 2, 2, 'valid');
      const { result, indexes } = tf.maxPoolWithArgmax(image as tf.Tensor4D, 2, 2, 'valid', true);
      const cube = tf.reshape(image!, [2, 9, 3, 3, 3]) as tf.Tensor5D;
      return [
        most(image!),
        gradient(most, image!),
        gradient(usual, image!),
        result,
        indexes,
        tf.maxPool3d(cube, 2, 1, 'same'),
      ];
    },
  ],
  'resized, cropped, flipped and transformed images': [
    { image, boxes: float([2, 4], [0, 0, 1, 1, 0.1, 0.2, 0.8, 0.9]), moved: float([1, 8], [1, 0, 1, 0, 1, -2, 0, 0]) },
    (i) => {
      const of = i['image'] as tf.Tensor4D;
      const first = tf.slice(of, 0, 1); // Of a second image plain JavaScript makes zeros.
      const resize = (t: tf.Tensor) => tf.image.resizeBilinear(t as tf.Tensor4D, [5, 12]);
      return [
        ...[resize(of), tf.image.resizeBilinear(of, [5, 12], true), tf.image.resizeBilinear(of, [5, 12], false, true)],
        gradient(resize, of),
        tf.image.resizeNearestNeighbor(of, [5, 12]),
        tf.image.cropAndResize(of, i['boxes'] as tf.Tensor2D, tf.tensor1d([0, 1], 'int32'), [4, 4]),
        tf.image.flipLeftRight(of),
        tf.image.transform(first, i['moved'] as tf.Tensor2D, 'bilinear', 'reflect'),
        tf.image.transform(first, i['moved'] as tf.Tensor2D, 'nearest', 'constant', 3, [4, 20]),
      ];
    },
  ],
  // Linear algebra, sums along axes, orders
  'products of broadcast batches': [
    { a: random('m', [2, 1, 3, 4]), b: random('n', [1, 5, 4, 2]) },
    ({ a, b }) => [tf.matMul(a!, b!), tf.matMul(tf.transpose(b!, [0, 1, 3, 2]), a!, false, true)],
  ],
  'einsum, dot, outer products': [
    { a: random('a', [2, 3, 4]), b: random('b', [2, 4, 5]) },
    ({ a, b }) => [
      tf.einsum('bij,bjk->bik', a!, b!),
      tf.einsum('bij->b', a!),
      tf.outerProduct(tf.reshape(a!, [24]) as tf.Tensor1D, tf.reshape(b!, [40]) as tf.Tensor1D),
    ],
  ],
  'QR, bands and diagonals of matrices': [
    { m: random('m', [4, 3]) },
    ({ m }) => {
      const [q, r] = tf.linalg.qr(m!);
      return [q!, r!, tf.linalg.bandPart(m!, 1, 0), tf.diag(tf.reshape(m!, [12]))];
    },
  ],
  'cumulative sums and products along each axis, exclusive and backward': [
    { x },
    ({ x }) =>
      [0, 1, 2, -1].flatMap((axis) => [tf.cumsum(x!, axis, true, true), tf.cumsum(x!, axis), tf.cumprod(x!, axis)]),
  ],
  'the gradient of a cumulative sum': [
    { x },
    ({ x }) => [0, 1, 2].map((axis) => gradient((t) => tf.cumsum(t, axis, axis === 1), x!)),
  ],
  'orders: topk, argMin, argMax, searchSorted, inverse by a scatter': [
    { x, sorted: float([2, 4], [0, 1, 2, 3, -1, 0, 1, 5]), values: float([2, 3], [0.5, 2, 9, -3, 0, 5]) },
    ({ x, sorted, values }) => [
      ...Object.values(tf.topk(x!, 3)),
      ...[tf.argMin(x!, 1), tf.argMax(x!, 0)],
      ...(['left', 'right'] as const).map((side) => tf.searchSorted(sorted!, values!, side)),
    ],
  ],
  'gathers, also by batch and by coordinates': [
    { x, at: int([4, 2], [0, 5, 1, 2, 3, 3, 4, 4]), points: int([3, 2], [0, 1, 3, 5, 2, 2]) },
    ({ x, at, points }) => [
      tf.gather(x!, at!, 1, 1),
      tf.gather(x!, at!, 2),
      tf.gatherND(x!, points!),
      gradient((t) => tf.gather(t, at!, 1), x!),
    ],
  ],
  'counts: bincount, confusion matrix, sparse to dense': [
    { at: int([5], [1, 2, 2, 0, 1]), weights: float([5], [1, 2, 3, 4, 5]) },
    ({ at, weights }) => [
      tf.bincount(at as tf.Tensor1D, weights as tf.Tensor1D, 4),
      tf.denseBincount(at as tf.Tensor1D, weights as tf.Tensor1D, 4),
      tf.denseBincount(tf.reshape(tf.tile(at!, [2]), [2, 5]) as tf.Tensor2D, tf.zeros([0]) as never, 4, true),
      tf.math.confusionMatrix(at as tf.Tensor1D, tf.reverse(at!) as tf.Tensor1D, 3),
      tf.sparseToDense(tf.tensor2d([[0], [1], [3]], [3, 1], 'int32'), tf.slice(weights as tf.Tensor1D, 0, 3), [4]),
    ],
  ],
  'space to batch, depth to space, mirrored padding, dilation': [
    { x: random('depth', [2, 4, 4, 4]), f: random('f', [2, 2, 4]) },
    ({ x, f }) => [
      tf.spaceToBatchND(
        x!,
        [2, 2],
        [
          [0, 0],
          [0, 0],
        ],
      ),
      tf.depthToSpace(x as tf.Tensor4D, 2),
      tf.mirrorPad(
        x!,
        [
          [0, 0],
          [1, 1],
          [2, 2],
          [0, 0],
        ],
        'reflect',
      ),
      tf.dilation2d(x as tf.Tensor4D, f as tf.Tensor3D, 1, 'same'),
    ],
  ],
  // Numbers of other kinds
  'complex numbers and Fourier transforms': [
    { x, y },
    ({ x, y }) => {
      const z = tf.complex(x!, y!);
      const parts = (of: tf.Tensor) => [tf.real(of), tf.imag(of)];
      return [
        ...[...parts(tf.mul(z, tf.complex(y!, x!))), ...parts(tf.spectral.fft(z)), ...parts(tf.spectral.ifft(z))],
        ...[tf.abs(z), tf.abs(tf.spectral.rfft(x!)), tf.spectral.irfft(z)],
        tf.abs(tf.signal.stft(tf.reshape(x!, [192]) as tf.Tensor1D, 16, 8)),
      ];
    },
  ],
  'whole numbers': [
    { whole, divisor, square: int([2, 2], [1, 2, 3, 4]) },
    ({ whole, divisor, square }) => [
      ...[tf.add(whole!, divisor!), tf.div(whole!, divisor!), tf.floorDiv(whole!, divisor!), tf.mod(whole!, divisor!)],
      ...[
        tf.abs(whole!),
        tf.neg(whole!),
        tf.sign(whole!),
        tf.square(whole!),
        tf.relu(whole!),
        tf.maximum(whole!, divisor!),
      ],
      ...[
        tf.sum(whole!),
        tf.mean(whole!),
        tf.max(whole!),
        tf.prod(divisor!),
        tf.cumsum(whole!),
        tf.topk(whole!, 2).values,
      ],
      ...[tf.bitwiseAnd(whole!, divisor!), tf.matMul(square!, square!), tf.pow(divisor!, tf.scalar(2, 'int32'))],
      ...[tf.fill([3], 2, 'int32'), tf.range(5, 0, -2, 'int32'), tf.cast(tf.tensor([1.9, -1.9]), 'int32')],
    ],
  ],
  booleans: [
    { x, y },
    ({ x, y }) => {
      const [a, b] = [tf.greater(x!, 0), tf.less(y!, 0.5)];
      return [
        ...[a, tf.logicalXor(a, b), tf.logicalOr(a, b), tf.any(a), tf.all(b, 0), tf.where(a, b, tf.logicalNot(b))],
        ...[tf.concat([a, b]), tf.transpose(a), tf.tile(a, [1, 1, 2]), tf.gather(a, tf.tensor1d([2, 0], 'int32'))],
        ...[
          tf.sum(a),
          tf.equal(a, b),
          tf.logicalAnd(a, tf.tensor([true, false, true, true, false, true, false, true])),
        ],
      ];
    },
  ],
  'not a number, infinities and the zeros': [
    { odd, other },
    ({ odd, other }) => [
      ...[
        tf.add(odd!, other!),
        tf.mul(odd!, other!),
        tf.div(odd!, other!),
        tf.maximum(odd!, other!),
        tf.pow(odd!, other!),
      ],
      ...[tf.relu(odd!), tf.abs(odd!), tf.neg(odd!), tf.elu(odd!), tf.clipByValue(odd!, -1, 1), tf.round(other!)],
      ...[
        tf.exp(odd!),
        tf.log(odd!),
        tf.sqrt(odd!),
        tf.rsqrt(odd!),
        tf.sigmoid(odd!),
        tf.tanh(odd!),
        tf.softplus(odd!),
      ],
      ...[tf.max(odd!), tf.min(odd!), tf.sum(odd!), tf.mean(odd!), tf.logSoftmax(odd!), tf.logSumExp(odd!)],
      ...[tf.equal(odd!, other!), tf.less(odd!, other!), tf.isNaN(odd!), tf.isInf(odd!), tf.isFinite(odd!)],
      tf.matMul(tf.reshape(odd!, [3, 3]), tf.reshape(other!, [3, 3])),
    ],
  ],
  // Shapes
  'nothing at all': [
    { none, rows: random('rows', [2, 3]), columns: random('columns', [3, 2]) },
    ({ none, rows, columns }) => [
      ...[
        tf.add(none!, 1),
        tf.sum(none!, 0),
        tf.sum(none!),
        tf.softmax(none!),
        tf.transpose(none!),
        tf.concat([none!, rows!]),
      ],
      ...[tf.matMul(none!, columns!), tf.matMul(tf.zeros([2, 0]), none!), tf.slice(rows!, [0, 0], [0, 3])],
      ...[
        tf.split(rows!, [0, 3], 1)[0]!,
        tf.gather(rows!, tf.tensor1d([], 'int32')),
        gradient((t) => tf.mul(t, 2), none!),
      ],
      tf.greater(none!, 0),
    ],
  ],
  'no axes and six': [
    { s: float([], [3]), six, b: random('b', [3, 1, 1, 2, 3]) },
    ({ s, six, b }) => [
      ...[tf.square(s!), tf.expandDims(s!), tf.softmax(six!), tf.transpose(six!, [5, 4, 3, 2, 1, 0]), tf.mul(six!, b!)],
      ...[
        tf.sum(six!, [1, 3, 5]),
        tf.reverse(six!, [0, 5]),
        tf.matMul(six!, six!, false, true),
        tf.concat([six!, six!], 3),
      ],
      ...[tf.slice(six!, [0, 1, 0, 1, 0, 1], [1, 2, 1, 2, 1, 2]), tf.tile(six!, [1, 2, 1, 1, 1, 2]), tf.mean(six!)],
      ...[
        tf.gather(six!, tf.tensor1d([1, 0], 'int32'), 3),
        gradient((t) => tf.logSoftmax(t), tf.reshape(six!, [36, 6])),
      ],
      tf.pad(six!, [
        [0, 0],
        [1, 0],
        [0, 0],
        [0, 1],
        [0, 0],
        [0, 0],
      ]),
    ],
  ],
  // Ways to write a program
  'control flow on shapes, and loops': [
    { x },
    ({ x }) => {
      let t = x!.rank === 3 ? tf.add(x!, 1) : x!;
      for (let i = 0; i < 5; i++) t = tf.sin(t);
      return t;
    },
  ],
  'gradients of gradients': [
    { x },
    ({ x }) => {
      const slope = (f: (t: tf.Tensor) => tf.Tensor) => (t: tf.Tensor) => tf.sum(tf.grad((of) => f(of).sum())(t));
      return tf.grad(slope((t) => tf.mul(tf.sin(t), tf.exp(t))))(x!);
    },
  ],
  'customGrad, saving tensors, within a gradient': [
    { x },
    ({ x }) => {
      const own = tf.customGrad((t, save) => {
        const value = tf.exp(t as tf.Tensor);
        (save as tf.GradSaveFunc)([value]);
        return { value, gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) => tf.mul(dy, tf.mul(saved!, 3)) };
      });
      return gradient((t) => own(t), x!);
    },
  ],
  'variables, assigned and differentiated, and tfjs’s own optimizers': [
    { x },
    ({ x }) => {
      const v = tf.variable(tf.ones([8]));
      v.assign(tf.mul(v, 3));
      const { grads } = tf.variableGrads(() => squares(tf.mul(x!, v)), [v]);
      const results = [tf.mul(x!, v), tf.clone(Object.values(grads)[0]!)];
      for (const optimizer of [tf.train.sgd(0.001), tf.train.adam(0.1)]) {
        for (let i = 0; i < 2; i++) optimizer.minimize(() => squares(tf.mul(x!, v)), false, [v]);
        optimizer.dispose();
      }
      results.push(tf.mul(v, 1));
      v.dispose();
      return results;
    },
  ],
  'tensors disposed in the middle, kept, and in scopes within scopes': [
    { x },
    ({ x }) => {
      const a = tf.exp(x!);
      const b = tf.mul(a, 2);
      a.dispose();
      const kept = tf.tidy(() => tf.keep(tf.tidy(() => tf.tanh(b))));
      const c = tf.add(
        kept,
        tf.tidy(() => tf.tidy(() => tf.scalar(2))),
      );
      kept.dispose();
      x!.dispose();
      return c;
    },
  ],
};

const run = async (engine: Engine, [inputs, fn]: Case): Promise<HostTensor[]> => {
  const outputs = await runOnce(engine, inputs, (fed) => {
    const made = fn(fed as Given);
    return Object.fromEntries((Array.isArray(made) ? made : [made]).map((tensor, i) => [i, tensor]));
  });
  return Object.values(outputs);
};

let native: Engine;
let asWhole: Engine;
let cpu: Engine;
beforeAll(async () => {
  native = await OPEN.native();
  asWhole = await openWhole();
  cpu = await OPEN.cpu();
});

/** The greater of a number and what is none is the number to the compiler, on a CPU. */
const NOT_WHOLE = 'not a number, infinities and the zeros';

describe.each(['op by op', 'as a whole'])('a program compiled %s gives what plain JavaScript gives, of', (how) => {
  it.each(Object.entries(CASES).filter(([name]) => how === 'op by op' || name !== NOT_WHOLE))(
    '%s',
    async (_, given) => {
      const before = tf.memory().numTensors;
      const engine = how === 'op by op' ? native : asWhole;
      const [ours, theirs] = [await run(engine, given), await run(cpu, given)];
      expect(ours.length).toBe(theirs.length);
      for (const [i, tensor] of ours.entries())
        expect(difference(tensor, theirs[i]!), `result ${i}`).toBeLessThan(5e-5);
      expect(tf.memory().numTensors).toBe(before);
    },
  );
});

describe('where plain JavaScript is wrong itself, a compiled program gives', () => {
  it.each<[string, Record<string, HostTensor>, Fn, HostTensor]>([
    ['the mean of nothing: not a number', { none }, (i: Tensors) => tf.mean(i['none']!), float([], [Number.NaN])],
    ['the largest of nothing: minus infinity', { none }, (i: Tensors) => tf.max(i['none']!), float([], [-Infinity])],
    [
      'the sign of what is no number',
      { odd },
      (i: Tensors) => tf.sign(tf.slice(i['odd']!, 0, 1)),
      float([1], [Number.NaN]),
    ],
    [
      'whole numbers that wrap around',
      { n: int([1], [2 ** 31 - 1]) },
      (i: Tensors) => tf.mul(i['n']!, i['n']!),
      int([1], [1]),
    ],
  ])('%s', async (_, inputs, fn, expected) => {
    const { result } = await runOnce(native, inputs, (fed) => ({ result: fn(fed) }));
    expect(result).toEqual(expected);
  });

  it('no number for a row of a softmax that has one that is none', async () => {
    const v = float([2, 4], [0, Number.NaN, 1, 2, 0, 1, 2, 3]);
    const { s, l } = await runOnce(native, { v }, (i) => ({ s: tf.softmax(i.v!), l: tf.logSoftmax(i.v!) }));
    expect([...s!.data.slice(0, 4)].some(Number.isNaN)).toBe(true);
    expect([...l!.data.slice(0, 4)].every(Number.isNaN)).toBe(true);
    expect([...s!.data.slice(4)].reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 6);
  });
});

describe('is refused, with the code that asked for it:', () => {
  const at = String.raw`\(test/engine/odd-programs\.test\.ts:\d+:\d+\)`;
  it.each<[string, Fn, string]>([
    [
      'text',
      () => tf.cast(tf.equal(tf.tensor(['a']), tf.tensor(['b'])), 'int32'),
      `${at}: a string tensor cannot be part`,
    ],
    ['ops on text', () => tf.string.stringToHashBucketFast(['a'], 3), `${at}: .*StringToHashBucketFast.*`],
    [
      'a result whose shape depends on values',
      (i) => tf.unique(tf.reshape(i['x']!, [192])).values,
      `${at}: operation UniqueV2: the shape`,
    ],
    [
      'an asynchronous op',
      (i) => tf.booleanMaskAsync(i['x']!, tf.greater(i['x']!, 0)) as never,
      `${at}: the value of .*was read`,
    ],
    [
      'pooling with a padding by sizes',
      (i) => tf.maxPool(tf.reshape(i['x']!, [1, 4, 6, 8]) as tf.Tensor4D, 2, 1, 1),
      `${at}: .*padding`,
    ],
    [
      'a kernel that there is not',
      (i) => tf.image.rotateWithOffset(tf.reshape(i['x']!, [1, 4, 6, 8]) as tf.Tensor4D, 1),
      `${at}: Kernel 'RotateWithOffset'`,
    ],
    [
      'a tensor that is disposed',
      (i) => tf.tidy(() => tf.add(tf.tidy(() => void 0) ?? gone(i['x']!), 1)),
      `${at}: a tensor was used that is disposed`,
    ],
    [
      'randomness by a seed of tfjs',
      (i) => tf.multinomial(tf.reshape(i['x']!, [4, 48]) as tf.Tensor2D, 3, 1),
      `${at}: Multinomial depends on a state`,
    ],
    [
      'a gradient that tfjs does not have',
      (i) => gradient((t) => tf.einsum('bij->b', t), i['x']!),
      `${at}: Cannot compute gradient.*Einsum`,
    ],
    [
      'one that it has wrong, of mirrored padding',
      (i) =>
        gradient(
          (t) =>
            tf.mirrorPad(
              t,
              [
                [1, 1],
                [0, 0],
                [0, 0],
              ],
              'reflect',
            ),
          i['x']!,
        ),
      'gradient that tfjs has of MirrorPad is wrong',
    ],
    [
      'one that it has wrong, of half pixels',
      (i) => gradient((t) => tf.image.resizeBilinear(t as tf.Tensor3D, [3, 3], false, true), i['x']!),
      'ResizeBilinear with half-pixel centers is wrong',
    ],
    ['complex numbers that leave it', (i) => tf.complex(i['x']!, i['x']!), 'output "result" is complex64'],
    ['what is no tensor', () => undefined as never, 'output "result" gave undefined'],
  ])('%s', async (_, fn, message) => {
    await expect(runOnce(native, { x }, (fed) => ({ result: fn(fed) }))).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringMatching(new RegExp(message, 's')),
    });
  });

  it('an index that is not there, and a division of whole numbers by zero, when they are run', async () => {
    const failing: [Record<string, HostTensor>, Fn, RegExp][] = [
      [{ x, at: int([1], [-1]) }, (i) => tf.gather(i['x']!, i['at']!), /odd-programs.*-1 is not in \[0, 4\)/s],
      [{ whole, at: int([1], [0]) }, (i) => tf.floorDiv(i['whole']!, i['at']!), /odd-programs.*division by zero/s],
    ];
    for (const [inputs, fn, message] of failing)
      await expect(runOnce(native, inputs, (fed) => ({ result: fn(fed) }))).rejects.toThrow(message);
  });

  function gone(of: tf.Tensor): tf.Tensor {
    const made = tf.exp(of);
    made.dispose();
    return made;
  }
});

describe('tfjs’s own backends are mended where they are wrong without a word:', () => {
  const plainProduct = (a: HostTensor, b: HostTensor): HostTensor => {
    const out: number[] = [];
    for (let p = 0; p < 2; p++)
      for (let q = 0; q < 5; q++)
        for (let r = 0; r < 3; r++)
          for (let c = 0; c < 2; c++) {
            let sum = 0;
            for (let k = 0; k < 4; k++) sum += a.data[p * 12 + r * 4 + k]! * b.data[q * 8 + k * 2 + c]!;
            out.push(sum);
          }
    return float([2, 5, 3, 2], out);
  };

  it.each(['cpu', 'wasm', 'native'] as const)('products of broadcast batches on %s', async (name) => {
    const [a, b] = [random('m', [2, 1, 3, 4]), random('n', [1, 5, 4, 2])];
    const { y } = await runOnce(await OPEN[name](), { a, b }, (i) => ({ y: tf.matMul(i.a!, i.b!) }));
    expect(difference(y!, plainProduct(a, b))).toBeLessThan(1e-5);
  });

  it.each(['cpu', 'wasm', 'native'] as const)('what a reduction gives of nothing, on %s', async (name) => {
    const rows = float([0, 2], []);
    const got = await runOnce(await OPEN[name](), { rows }, (i) => {
      const is = tf.greater(i.rows!, 0);
      const [all, any] = [tf.all(is), tf.any(is)].map((of) => tf.cast(of, 'float32'));
      const plain = [tf.sum, tf.prod, tf.mean, tf.max, tf.min].map((reduce) => (reduce as typeof tf.sum)(i.rows!));
      return { all: tf.stack([...plain, all!, any!]), kept: tf.sum(i.rows!, 0, true) };
    });
    expect(got['all']).toEqual(float([7], [0, 1, Number.NaN, -Infinity, Infinity, 1, 0]));
    expect(got['kept']).toEqual(float([1, 2], [0, 0]));
  });

  it.each(['cpu', 'wasm', 'native'] as const)('sums along the last axis, counted from the end, on %s', async (name) => {
    const rows = float([2, 3], [1, 2, 3, 4, 5, 6]);
    const { y } = await runOnce(await OPEN[name](), { rows }, (i) => ({ y: tf.cumsum(i.rows!, -1) }));
    expect(y).toEqual(float([2, 3], [1, 3, 6, 4, 9, 15]));
  });

  it.each(['cpu', 'wasm', 'native'] as const)('the gradient of sums along another axis on %s', async (name) => {
    const square = random('square', [3, 3]);
    const weights = [1, 2, 4, 8, 16, 32, 64, 128, 256];
    const { g } = await runOnce(await OPEN[name](), { square }, (i) => ({
      g: tf.grad((t) => tf.sum(tf.mul(tf.cumsum(t, 0), tf.tensor(weights, [3, 3]))))(i.square!),
    }));
    // Row r is part of the sums of rows r and on.
    expect(bytesOf({ g: g! })).toEqual(bytesOf({ g: float([3, 3], [73, 146, 292, 72, 144, 288, 64, 128, 256]) }));
  });
});
