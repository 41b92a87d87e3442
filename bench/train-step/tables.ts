import type { Spread } from '../spread.ts';
import { megabytes, short, type Table } from '../table.ts';
import type { ShapeFigures } from './measure-shape.ts';

const between = ({ median, min, max }: Spread, scale = 1): string =>
  `${short(median * scale)} (${short(min * scale)}..${short(max * scale)})`;

/** `device` in words, for the titles. */
export function tablesOf(measured: readonly ShapeFigures[], device: string): Table[] {
  return [
    ...measured.flatMap((figures) => [sidesTable(figures, device), ...ratioTable(figures)]),
    roofline(measured, device),
    ...measured.flatMap(repulsionTable),
  ];
}

/** PyTorch says what its tensors take of a GPU; TensorFlow does not. */
function sidesTable({ shape, parameters, batch, sides, missing }: ShapeFigures, device: string): Table {
  const onDevice = Object.values(sides).some(({ device_peak_bytes }) => device_peak_bytes !== null);
  return {
    title: `Shape ${shape} on ${device}: ${parameters.toLocaleString('en-US')} parameters, batch ${batch}; median (least..most) over turns`,
    columns: [
      '',
      'images/s',
      'ms a step',
      'CPU ms',
      'share of peak',
      'compiling s',
      'peak RSS',
      'while stepping',
      'idle',
      ...(onDevice ? ['GPU memory'] : []),
    ],
    rows: [
      ...Object.entries(sides).map(([name, side]) => [
        name,
        between(side.images_per_second),
        between(side.step_seconds, 1e3),
        between(side.cpu_seconds, 1e3),
        short(side.peak_share.median),
        short(side.compile_seconds),
        megabytes(side.peak_bytes),
        megabytes(side.turns_peak_bytes),
        megabytes(side.idle_bytes),
        ...(onDevice ? [side.device_peak_bytes === null ? '-' : megabytes(side.device_peak_bytes)] : []),
      ]),
      ...Object.entries(missing).map(([name, why]) => [name, why, ...Array<string>(onDevice ? 8 : 7).fill('')]),
    ],
  };
}

function ratioTable({ shape, ratios, cpu_ratios, agreement, torch }: ShapeFigures): Table[] {
  if (agreement === null || torch === null) return [];
  const differences = { ...agreement.terms, ...agreement.moved };
  return [
    {
      title: `Shape ${shape}: images/s of one over the other, turn by turn (PyTorch with ${chosen(torch)})`,
      columns: ['', 'ratio', 'of CPU time'],
      rows: Object.entries(ratios).map(([name, ratio]) => [name, between(ratio), between(cpu_ratios[name]!)]),
    },
    {
      title: `Shape ${shape}: ${agreement.steps} steps from the same values, relative difference from PyTorch (float32)`,
      columns: ['', 'difference'],
      rows: Object.entries(differences).map(([name, value]) => [name, value.toExponential(1)]),
    },
  ];
}

function chosen({ adamw, openmp_wait, compile_modes }: NonNullable<ShapeFigures['torch']>): string {
  const modes = Object.entries(compile_modes).map(([name, mode]) => `${name}: ${mode}`);
  return [`${adamw} AdamW`, ...(openmp_wait === null ? modes : [`OpenMP waiting: ${openmp_wait}`])].join(', ');
}

function roofline(measured: readonly ShapeFigures[], device: string): Table {
  return {
    title: `What bounds a float32 step on ${device}: its operations at the peak of products, its bytes at the rate of additions`,
    columns: ['shape', 'GFLOP', 'MB', 'GFLOP/s', 'GB/s', 'ms by FLOP', 'ms by bytes', 'bound by', 'ms measured', 'ops'],
    rows: measured.map(({ shape, work, peak_flops_per_second, peak_bytes_per_second, floor, sides }) => {
      const ours = sides['ours fp32'];
      return [
        shape,
        work.flops / 1e9,
        work.bytes / 1e6,
        peak_flops_per_second.median / 1e9,
        peak_bytes_per_second.median / 1e9,
        floor.by_flops_seconds * 1e3,
        floor.by_bytes_seconds * 1e3,
        floor.by_flops_seconds > floor.by_bytes_seconds ? 'FLOP' : 'bytes',
        ours === undefined ? '-' : short(ours.step_seconds.median * 1e3),
        ours?.ops ?? '-',
      ];
    }),
  };
}

function repulsionTable({ shape, repulsion_cost }: ShapeFigures): Table[] {
  if (repulsion_cost === null) return [];
  return [
    {
      title: `Shape ${shape}: a step with Repulsor and 65,536 negatives over one of flow matching alone, turn by turn`,
      columns: ['keys', 'ratio'],
      rows: Object.entries(repulsion_cost).map(([name, ratio]) => [name, between(ratio)]),
    },
  ];
}
