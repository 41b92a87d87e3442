import { join } from 'node:path';
import type { NativeDevice } from '../../src/engine/native/config.ts';
import { trainLayout } from '../../src/trainer/train-state.ts';
import { type Spread, spread } from '../spread.ts';
import { ratios } from '../turns.ts';
import { type Agreement, checkArithmetic } from './check-arithmetic.ts';
import { measureSides, type SideLife } from './measure-sides.ts';
import { type StepWork, stepWork } from './products.ts';
import { type Shape, shapePipeline } from './shapes.ts';
import { startOurs, startTorchSide } from './sides.ts';
import type { Start } from './start-sides.ts';
import type { OpenMp } from './torch-side.ts';

export interface ShapeOptions {
  readonly rounds: number;
  readonly turnSeconds: number;
  readonly threads: number;
  readonly device: NativeDevice;
  readonly peers: boolean;
  readonly compiledPeers: boolean;
  /** Seconds that torch.compile has before its sides are left out. */
  readonly compileLimit: number;
  /** A folder for what the sides hand each other. */
  readonly scratch: string;
}

export interface SideFigures extends SideLife {
  readonly images_per_second: Spread;
  readonly step_seconds: Spread;
  /** Of all threads together. */
  readonly cpu_seconds: Spread;
  /** Of the measured peak of float32 matrix products, turn by turn. */
  readonly peak_share: Spread;
}

export interface ShapeFigures {
  readonly shape: Shape;
  readonly device: NativeDevice;
  readonly parameters: number;
  readonly batch: number;
  readonly work: StepWork;
  /** What float32 products of this machine reach, and additions of long vectors. */
  readonly peak_flops_per_second: Spread;
  readonly peak_bytes_per_second: Spread;
  /** Least seconds of a float32 step by its operations and by its bytes: the larger one bounds it. */
  readonly floor: { readonly by_flops_seconds: number; readonly by_bytes_seconds: number };
  /** By name, as `ours fp32` or `torch eager bf16`. */
  readonly sides: Readonly<Record<string, SideFigures>>;
  /** Sides that are not to be had, and why. */
  readonly missing: Readonly<Record<string, string>>;
  /** Images a second of one of ours over one of PyTorch's, turn by turn: `ours fp32 / torch eager fp32`. */
  readonly ratios: Readonly<Record<string, Spread>>;
  /** The same of CPU time: how much more of it PyTorch takes for an image. It means something on a busy machine too. */
  readonly cpu_ratios: Readonly<Record<string, Spread>>;
  /** Step time over that of plain flow matching, by what is added; of shape b. */
  readonly repulsion_cost: Readonly<Record<string, Spread>> | null;
  /** null without peers. */
  readonly agreement: Agreement | null;
  /** What was the faster one for PyTorch here (torch.compile's modes: by side); null without it. OpenMP's threads matter on the CPU only. */
  readonly torch: {
    readonly adamw: 'fused' | 'foreach';
    readonly openmp_wait: OpenMp | null;
    readonly compile_modes: Readonly<Record<string, string>>;
  } | null;
}

type Say = (line: string) => void;

/** The sides of one shape, in turns; then, for shape b, what the repulsion costs over plain flow matching. */
export async function measureShape(shape: Shape, options: ShapeOptions, note: Say): Promise<ShapeFigures> {
  const say: Say = (line) => note(`shape ${shape}: ${line}`);
  const pipeline = await shapePipeline(shape);
  const { threads, device } = options;
  const checked = options.peers
    ? await checkArithmetic(pipeline, join(options.scratch, `${shape}.safetensors`), { threads, device }, say)
    : null;
  const absent: Record<string, string> = {};
  const starts: Record<string, Start> = {
    'ours fp32': { start: () => startOurs('ours fp32', { pipeline, threads, device }) },
  };
  const inBf16 = await shapePipeline(shape, ['precision=bf16']);
  starts['ours bf16'] = { start: () => startOurs('ours bf16', { pipeline: inBf16, threads, device }) };
  for (const compile of [false, true])
    for (const precision of ['fp32', 'bf16'] as const) {
      const name = `torch ${compile ? 'compiled' : 'eager'} ${precision}`;
      if (checked === null) absent[name] = 'measured without peers';
      else if (compile && !options.compiledPeers) absent[name] = 'left out by --no-compiled-peers';
      else {
        const task = { pipeline, precision, compile, fused: checked.fused, threads, device };
        const start: Start['start'] = (signal) => startTorchSide(name, task, checked.openmp, signal);
        starts[name] = compile ? { start, optional: { limitSeconds: options.compileLimit } } : { start };
      }
    }
  const { sides, missing, seconds, cpuSeconds, peaks } = await measureSides(starts, options, say);
  const work = stepWork(pipeline);
  const flops = peaks.map(({ flops_per_second }) => flops_per_second);
  const peak_flops_per_second = spread(flops);
  const peak_bytes_per_second = spread(peaks.map(({ bytes_per_second }) => bytes_per_second));
  const { batch } = pipeline.operators;
  const figuresOf = (name: string): SideFigures => ({
    ...sides[name]!,
    step_seconds: spread(seconds[name]!),
    cpu_seconds: spread(cpuSeconds[name]!),
    images_per_second: spread(seconds[name]!.map((step) => batch / step)),
    peak_share: spread(seconds[name]!.map((step, round) => work.flops / step / flops[round]!)),
  });
  return {
    shape,
    device,
    parameters: trainLayout(pipeline).size,
    batch,
    work,
    peak_flops_per_second,
    peak_bytes_per_second,
    floor: {
      by_flops_seconds: work.flops / peak_flops_per_second.median,
      by_bytes_seconds: work.bytes / peak_bytes_per_second.median,
    },
    sides: Object.fromEntries(Object.keys(sides).map((name) => [name, figuresOf(name)])),
    missing: { ...absent, ...missing },
    ratios: ratiosOf(seconds),
    cpu_ratios: ratiosOf(cpuSeconds),
    repulsion_cost: shape === 'b' ? await repulsionCost(options, say) : null,
    agreement: checked?.agreement ?? null,
    torch: checked && {
      adamw: checked.fused ? 'fused' : 'foreach',
      openmp_wait: device === 'cpu' ? checked.openmp : null,
      compile_modes: Object.fromEntries(
        Object.entries(sides).flatMap(([name, { compile_mode }]) =>
          compile_mode === null ? [] : [[name, compile_mode]],
        ),
      ),
    },
  };
}

/** Ours over PyTorch's: of the same precision, and the fastest over the fastest. */
function ratiosOf(seconds: Readonly<Record<string, number[]>>): Record<string, Spread> {
  const found: Record<string, Spread> = {};
  const names = Object.keys(seconds);
  const ours = names.filter((name) => name.startsWith('ours'));
  const theirs = names.filter((name) => name.startsWith('torch'));
  for (const our of ours)
    for (const their of theirs)
      if (our.split(' ').at(-1) === their.split(' ').at(-1))
        found[`${our} / ${their}`] = ratios(seconds[their]!, seconds[our]!);
  const fastest = (of: readonly string[]): string | undefined =>
    of.toSorted((a, b) => spread(seconds[a]!).median - spread(seconds[b]!).median)[0];
  const [best, bestPeer] = [fastest(ours), fastest(theirs)];
  if (best !== undefined && bestPeer !== undefined)
    found['best of ours / best of torch'] = ratios(seconds[bestPeer]!, seconds[best]!);
  return found;
}

/** What the repulsion from 65,536 negatives adds to a step: with momentum keys, the default, and with the current ones. */
async function repulsionCost(options: ShapeOptions, say: Say): Promise<Record<string, Spread>> {
  const { threads, device } = options;
  const start = async (name: string, overrides: readonly string[]): Promise<readonly [string, Start]> => {
    const pipeline = await shapePipeline('b', overrides);
    return [name, { start: () => startOurs(name, { pipeline, threads, device }) }];
  };
  const k = 'losses.repulsion.queue=65536';
  const current = [k, 'losses.repulsion.keyMomentum=null'];
  const starts = await Promise.all([
    start('flow matching alone', ['losses.repulsion=null']),
    start('momentum keys', [k]),
    start('current keys', current),
  ]);
  const { seconds } = await measureSides(Object.fromEntries(starts), options, say);
  const { 'flow matching alone': plain, ...added } = seconds;
  return Object.fromEntries(Object.entries(added).map(([name, taken]) => [name, ratios(taken, plain!)]));
}
