/**
 * Writes grafana/dashboards/repulsor.json: `npm run dashboard`. Each panel is one entry below: what it shows, how to
 * read it, and its queries. The builders are Grafana's own, so the JSON has the fields Grafana knows.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as common from '@grafana/grafana-foundation-sdk/common';
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus';
import * as stat from '@grafana/grafana-foundation-sdk/stat';
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';
import { WARNING_SIGNS } from '../src/metrics/warning-signs.ts';

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's own placeholder
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };

/** [legend, expression]; `@` stands for the label filter of the chosen runs. */
type Query = readonly [legend: string, expression: string];

interface Panel {
  readonly title: string;
  readonly description: string;
  /** Grafana's name of the unit. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Of 24; 6 when absent. */
  readonly width?: number;
  readonly min?: number;
  readonly max?: number;
  readonly logarithmic?: boolean;
  /** Draws a line here and colours what lies beyond it. */
  readonly alarm?: { readonly below?: number; readonly above?: number };
  /** What to say where there is no series yet. */
  readonly none?: string;
  /** A big number instead of a curve. */
  readonly big?: boolean;
}

const OVERVIEW: readonly Panel[] = [
  {
    title: 'Step',
    description: 'Where each model is now. It falls back to the last commit after a crash; committed steps never do.',
    unit: 'locale',
    big: true,
    queries: [
      ['{{run}}', 'repulsor_step{@}'],
      ['{{run}} committed', 'repulsor_committed_steps_total{@}'],
    ],
  },
  {
    title: 'Loss',
    description: 'Mean total loss over the last 5 minutes.',
    unit: 'none',
    big: true,
    queries: [['{{run}}', 'avg_over_time(repulsor_loss{@, term="total"}[5m])']],
  },
  {
    title: 'Images per second',
    description: 'Trained on, over the last minutes, waits and commits included.',
    unit: 'none',
    big: true,
    queries: [['{{run}}', 'rate(repulsor_processed_samples_total{@}[$__rate_interval])']],
  },
  {
    title: 'Pair distance',
    description: 'Mean squared distance of two projections of a batch: 2 is an even spread, near 0 is collapse.',
    unit: 'none',
    big: true,
    alarm: { below: WARNING_SIGNS.collapse },
    queries: [['{{run}} block {{block}}', 'repulsor_pair_distance{@}']],
  },
  {
    title: 'Last commit',
    description: 'How long ago. A crash now would lose the steps since.',
    unit: 's',
    big: true,
    alarm: { above: 900 },
    queries: [['{{run}}', 'repulsor_commit_age_seconds{@}']],
  },
  {
    title: 'Lag',
    description: 'Records that are in the topic but not read yet, over all partitions.',
    unit: 'short',
    big: true,
    queries: [['{{run}}', 'sum by (run) (repulsor_lag_records{@})']],
  },
];

const CONVERGENCE: readonly Panel[] = [
  {
    title: 'Loss by term',
    description:
      'Mean of the scraped steps in each interval. "total" is what is minimised. The repulsion term drops early and stays: ' +
      'judge a run by flow matching, by the gradient norm and by FID, not by that term.',
    unit: 'none',
    width: 12,
    queries: [['{{run}} {{term}}', 'avg_over_time(repulsor_loss{@}[$__rate_interval])']],
  },
  {
    title: 'Gradient norm',
    description: 'Before clipping. A slow fall is learning; peaks that grow say that the learning rate is too high.',
    unit: 'none',
    width: 12,
    logarithmic: true,
    queries: [['{{run}}', 'repulsor_gradient_norm{@}']],
  },
  {
    title: 'Parameter norm',
    description: 'Grows slowly and levels off. A jump marks a bad step, a steady climb weights that run away.',
    unit: 'none',
    width: 8,
    queries: [['{{run}}', 'repulsor_parameter_norm{@}']],
  },
  {
    title: 'Learning rate',
    description: 'As the schedule gives it: after a restart it goes on where it was.',
    unit: 'sci',
    width: 8,
    min: 0,
    queries: [['{{run}}', 'repulsor_learning_rate{@}']],
  },
  {
    title: 'Images per second',
    description: 'Trained on. When it falls, the two curves that follow say why: slower steps, or waiting for data.',
    unit: 'none',
    width: 8,
    min: 0,
    queries: [['{{run}}', 'rate(repulsor_processed_samples_total{@}[$__rate_interval])']],
  },
  {
    title: 'Step duration',
    description: 'Of the engine call. A wide gap between median and 95% is another load on the machine.',
    unit: 's',
    width: 8,
    min: 0,
    queries: [
      ['{{run}} median', quantile(0.5, 'repulsor_step_duration_seconds')],
      ['{{run}} 95%', quantile(0.95, 'repulsor_step_duration_seconds')],
    ],
  },
  {
    title: 'Share of time waiting for data',
    description:
      'Near 0 the engine is the limit, near 1 the topic or the decoding is: more partitions, more decoders, or simply no new images.',
    unit: 'percentunit',
    width: 8,
    min: 0,
    max: 1,
    queries: [
      [
        '{{run}}',
        'rate(repulsor_data_wait_seconds_total{@}[$__rate_interval]) / (rate(repulsor_data_wait_seconds_total{@}[$__rate_interval])' +
          ' + rate(repulsor_step_duration_seconds_sum{@}[$__rate_interval]))',
      ],
    ],
  },
  {
    title: 'Memory of the process',
    description: 'Resident, the native engine included. It must level off after the first commits.',
    unit: 'bytes',
    width: 8,
    min: 0,
    queries: [['{{run}}', 'repulsor_resident_memory_bytes{@}']],
  },
];

const REPULSION: readonly Panel[] = [
  {
    title: 'Pair distance',
    description:
      'Mean squared distance of two projections of a batch. 2 is an even spread. Near 0 all images are one point: collapse, ' +
      'which no loss shows. Keep losses.repulsion.projection.centre on, or take a smaller weight.',
    unit: 'none',
    width: 8,
    min: 0,
    alarm: { below: WARNING_SIGNS.collapse },
    queries: [['{{run}} block {{block}}', 'repulsor_pair_distance{@}']],
  },
  {
    title: 'Uniformity',
    description: 'log mean exp(-2 d²) over pairs of a batch. The lower, the more evenly spread; 0 is collapse.',
    unit: 'none',
    width: 8,
    queries: [['{{run}} block {{block}}', 'repulsor_uniformity{@}']],
  },
  {
    title: 'Shift of the batch from its queue',
    description:
      'Squared distance of their means. Near 4 the batch sits on the side opposite its own past: it has fled, it has not spread.',
    unit: 'none',
    width: 8,
    min: 0,
    max: 4,
    alarm: { above: WARNING_SIGNS.flight },
    queries: [['{{run}} block {{block}}', 'repulsor_queue_shift{@}']],
  },
  {
    title: 'Similarity to the queue',
    description:
      'Mean cosine between the batch and the queue. Near 0 is healthy, near -1 is flight, near 1 is collapse.',
    unit: 'none',
    min: -1,
    max: 1,
    queries: [['{{run}} block {{block}}', 'repulsor_queue_similarity{@}']],
  },
  {
    title: 'Queue fill',
    description:
      'Share of the rows that hold a negative. It fills once, and is full again at once after a restart: the queue is part of each commit.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    queries: [['{{run}}', 'repulsor_queue_fill_rows{@} / repulsor_queue_capacity_rows{@}']],
  },
  {
    title: 'Age of the negatives',
    description:
      'In steps. The oldest should be as old as capacity / batch steps; more says that the queue is not refreshed.',
    unit: 'none',
    min: 0,
    queries: [
      ['{{run}} oldest', 'repulsor_queue_age_max_steps{@}'],
      ['{{run}} mean', 'repulsor_queue_age_mean_steps{@}'],
    ],
  },
  {
    title: 'Drift of the keys',
    description:
      'Squared distance between the network’s projection of an image and its key. Small: old negatives still mean something. ' +
      'Large: lower the learning rate or the momentum. Always 0 with current keys. With info-nce the distance of the positives.',
    unit: 'none',
    min: 0,
    queries: [
      ['{{run}} block {{block}}', 'repulsor_key_drift{@}'],
      ['{{run}} block {{block}} positives', 'repulsor_positive_distance{@}'],
    ],
  },
];

const FEATURES: readonly Panel[] = [
  {
    title: 'Classes told by the features',
    none: 'Set evaluation.everySteps',
    description:
      'Of a fixed set of images, by the features of one block: by the nearest others, and by a linear map. A rise is a representation that is learnt.',
    unit: 'percentunit',
    width: 8,
    min: 0,
    max: 1,
    queries: [['{{run}} {{probe}}', 'repulsor_evaluation_accuracy_ratio{@}']],
  },
  {
    title: 'Effective rank of the features',
    none: 'Set evaluation.everySteps',
    description:
      'Directions that the features use, of the width of the model. A fall is a collapse that accuracy shows later.',
    unit: 'none',
    width: 8,
    min: 0,
    queries: [['{{run}}', 'repulsor_evaluation_effective_rank{@}']],
  },
  {
    title: 'Alignment and uniformity of the features',
    none: 'Set evaluation.everySteps',
    description:
      'Alignment: how far two noises move an image, 0 is not at all. Uniformity: how evenly images lie, 0 is one point, -4 about as even as can be.',
    unit: 'none',
    width: 8,
    queries: [
      ['{{run}} alignment', 'repulsor_evaluation_alignment{@}'],
      ['{{run}} uniformity', 'repulsor_evaluation_uniformity{@}'],
    ],
  },
  {
    title: 'Steps since the last evaluation',
    none: 'Set evaluation.everySteps',
    description:
      'A saw as high as evaluation.everySteps. Higher: an evaluation takes longer than that, and some are left out.',
    unit: 'none',
    width: 12,
    min: 0,
    queries: [['{{run}}', 'repulsor_step{@} - repulsor_evaluation_step{@}']],
  },
  {
    title: 'Duration of an evaluation',
    none: 'Set evaluation.everySteps',
    description: 'Beside the steps, which it slows down by what it takes of the processor.',
    unit: 's',
    width: 12,
    min: 0,
    queries: [['{{run}}', 'repulsor_evaluation_duration_seconds{@}']],
  },
];

const STREAM: readonly Panel[] = [
  {
    title: 'Change of the stream',
    description:
      'How far the images of the last 20 steps are from those of the last 500, in units of what chance alone gives: about 1 or less ' +
      'while nothing changes, a jump when classes, sources or cameras do. Judge losses and FID across a jump with care.',
    unit: 'none',
    min: 0,
    alarm: { above: WARNING_SIGNS.change },
    queries: [['{{run}}', 'repulsor_stream_shift{@}']],
  },
  {
    title: 'Samples from the archive',
    description: 'Of all samples trained on, the part that is read again from what came before (operators.mix).',
    unit: 'percentunit',
    min: 0,
    max: 1,
    queries: [
      [
        '{{run}}',
        'rate(repulsor_archived_samples_total{@}[$__rate_interval]) / rate(repulsor_processed_samples_total{@}[$__rate_interval])',
      ],
    ],
  },
  {
    title: 'Lag by partition',
    description:
      'Records not read yet. A partition that grows alone is uneven writing; all together, training is slower than the stream.',
    unit: 'short',
    min: 0,
    queries: [['{{run}} {{topic}}/{{partition}}', 'repulsor_lag_records{@}']],
  },
  {
    title: 'Lag in time',
    description: 'How old the images are that are being trained on. Keep it far below the retention of the topic.',
    unit: 's',
    min: 0,
    queries: [['{{run}} {{topic}}/{{partition}}', 'repulsor_lag_seconds{@}']],
  },
  {
    title: 'Retention headroom',
    description:
      "Part of the topic's tighter limit that is left before the oldest record that is needed for a restart, a replay or the history. " +
      'Falling towards 0: retention will soon take it; lengthen it. 100% without a limit.',
    unit: 'percentunit',
    min: 0,
    queries: [['{{run}} {{topic}} {{need}}', 'min by (run, topic, need) (repulsor_retention_headroom_ratio{@})']],
  },
  {
    title: 'Retention headroom in records',
    description: 'Between the earliest that the topic still has and the oldest that is needed. Below 0 they are gone.',
    unit: 'short',
    queries: [['{{run}} {{topic}} {{need}}', 'min by (run, topic, need) (repulsor_retention_headroom_records{@})']],
  },
  {
    title: 'Retention headroom in time',
    none: 'No limit by age',
    description: 'About how long it is until the oldest record that is needed may be removed by its age.',
    unit: 's',
    min: 0,
    queries: [['{{run}} {{topic}} {{need}}', 'min by (run, topic, need) (repulsor_retention_headroom_seconds{@})']],
  },
  {
    title: 'Retention headroom in bytes',
    none: 'No limit by size',
    description: 'About how much may be written until the oldest record that is needed may be removed for size.',
    unit: 'bytes',
    min: 0,
    queries: [['{{run}} {{topic}} {{need}}', 'min by (run, topic, need) (repulsor_retention_headroom_bytes{@})']],
  },
  {
    title: 'Records by outcome',
    description: 'Per second. "skipped": nothing in them to train on. "dead_letter": unusable, set aside.',
    unit: 'none',
    min: 0,
    queries: [['{{run}} {{outcome}}', 'rate(repulsor_records_total{@}[$__rate_interval])']],
  },
  {
    title: 'Dead letters by reason',
    none: 'None so far',
    description:
      'Since the process began. Each lies in the dead-letter topic with its position, its reason and its bytes.',
    unit: 'short',
    min: 0,
    queries: [['{{run}} {{reason}}', 'repulsor_dead_letters_total{@}']],
  },
];

const COMMITS: readonly Panel[] = [
  {
    title: 'Steps not committed yet',
    description: 'What a crash would lose now: a saw whose teeth are as high as the commits are apart.',
    unit: 'none',
    width: 8,
    min: 0,
    queries: [['{{run}}', 'repulsor_step{@} - repulsor_committed_steps_total{@}']],
  },
  {
    title: 'Age of the last commit',
    description: 'In health it never passes the commit cadence by much.',
    unit: 's',
    width: 8,
    min: 0,
    alarm: { above: 900 },
    queries: [['{{run}}', 'repulsor_commit_age_seconds{@}']],
  },
  {
    title: 'Generation',
    description: 'Number of the last commit. It only rises, whoever trains.',
    unit: 'none',
    width: 8,
    queries: [['{{run}}', 'repulsor_commit_generation{@}']],
  },
  {
    title: 'Commit duration',
    description:
      'From the copy of the state to the committed transaction. Training goes on meanwhile, but for the stall.',
    unit: 's',
    width: 8,
    min: 0,
    queries: [
      [
        '{{run}} mean',
        'rate(repulsor_commit_duration_seconds_sum{@}[$__rate_interval]) / rate(repulsor_commit_duration_seconds_count{@}[$__rate_interval])',
      ],
      ['{{run}} 95%', quantile(0.95, 'repulsor_commit_duration_seconds')],
    ],
  },
  {
    title: 'Time lost to commits',
    description: 'Share of the time in which a commit let no step run.',
    unit: 'percentunit',
    width: 8,
    min: 0,
    queries: [['{{run}}', 'rate(repulsor_commit_stall_seconds_total{@}[$__rate_interval])']],
  },
  {
    title: 'Written by commits',
    description: 'Blobs that changed since the commit before.',
    unit: 'Bps',
    width: 8,
    min: 0,
    queries: [['{{run}}', 'rate(repulsor_commit_written_bytes_total{@}[$__rate_interval])']],
  },
  {
    title: 'Committed images',
    description:
      'Images whose training is committed, since the run began. Crashes leave no dent and no repetition in this curve.',
    unit: 'short',
    width: 8,
    queries: [['{{run}}', 'repulsor_committed_samples_total{@}']],
  },
  {
    title: 'Failed commits',
    description: 'In the last 15 minutes. The next good commit carries all steps since the last good one.',
    unit: 'none',
    width: 8,
    min: 0,
    queries: [['{{run}}', 'increase(repulsor_commit_failures_total{@}[15m])']],
  },
  {
    title: 'What is running',
    description:
      'The engine of each run; its other labels are the device, the library and the version of this software.',
    unit: 'none',
    width: 8,
    queries: [['{{run}}: {{engine}} on {{device}}, {{library}}, repulsor {{version}}', 'repulsor_run_info{@}']],
  },
];

/** Grafana's JSON, as it lies in grafana/dashboards. */
export function dashboardJson(): string {
  const builder = new dashboard.DashboardBuilder('Repulsor Stream')
    .uid('repulsor-stream')
    .description('Does it still converge, is the repulsion healthy, does it keep up, is it committed?')
    .tags(['repulsor'])
    .editable()
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .time({ from: 'now-1h', to: 'now' })
    .refresh('10s')
    .withVariable(new dashboard.DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(
      new dashboard.QueryVariableBuilder('run')
        .label('Run')
        .description('Several at once to compare them.')
        .datasource(DATASOURCE)
        .query('label_values(repulsor_run_info, run)')
        .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
        .sort(dashboard.VariableSort.AlphabeticalAsc)
        .multi(true)
        .includeAll(true)
        .allValue('.+')
        .current({ text: 'All', value: '$__all' }),
    )
    .annotation(
      new dashboard.AnnotationQueryBuilder()
        .name('Restarts')
        .datasource(DATASOURCE)
        .enable(true)
        .iconColor('orange')
        .expr(filtered('resets(repulsor_step_duration_seconds_count{@}[$__rate_interval]) > 0'))
        .titleFormat('{{run}} was restarted')
        .textFormat('It went on from its last commit.'),
    );
  for (const panel of OVERVIEW) builder.withPanel(panelOf({ width: 24 / OVERVIEW.length, ...panel }));
  const rows = { Convergence: CONVERGENCE, Repulsion: REPULSION, Features: FEATURES, Stream: STREAM, Commits: COMMITS };
  for (const [title, panels] of Object.entries(rows)) {
    builder.withRow(new dashboard.RowBuilder(title));
    for (const panel of panels) builder.withPanel(panelOf(panel));
  }
  const { panels = [], ...rest } = builder.build();
  // The builders leave out ids; links and alerts of Grafana want them.
  return `${JSON.stringify({ ...rest, panels: panels.map((panel, index) => ({ ...panel, id: index + 1 })) }, null, 2)}\n`;
}

function panelOf(panel: Panel): stat.PanelBuilder | timeseries.PanelBuilder {
  const builder = panel.big ? bigNumber() : curve(panel);
  builder
    .title(panel.title)
    .description(panel.description)
    .datasource(DATASOURCE)
    .unit(panel.unit)
    .span(panel.width ?? 6);
  if (panel.min !== undefined) builder.min(panel.min);
  if (panel.max !== undefined) builder.max(panel.max);
  if (panel.none !== undefined) builder.noValue(panel.none);
  if (panel.alarm !== undefined) builder.thresholds(thresholds(panel.alarm));
  panel.queries.forEach(([legend, expression], index) => {
    const query = new prometheus.DataqueryBuilder()
      .expr(filtered(expression))
      .legendFormat(legend)
      .refId('ABCDEF'[index]!);
    builder.withTarget(panel.big ? query.instant() : query.range());
  });
  return builder;
}

function bigNumber(): stat.PanelBuilder {
  return new stat.PanelBuilder()
    .height(4)
    .graphMode(common.BigValueGraphMode.None)
    .colorMode(common.BigValueColorMode.Value)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .colorScheme(new dashboard.FieldColorBuilder().mode(dashboard.FieldColorModeId.Thresholds));
}

function curve(panel: Panel): timeseries.PanelBuilder {
  const builder = new timeseries.PanelBuilder()
    .height(8)
    .lineWidth(1)
    .fillOpacity(0)
    .showPoints(common.VisibilityMode.Never)
    .colorScheme(new dashboard.FieldColorBuilder().mode(dashboard.FieldColorModeId.PaletteClassic))
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom)
        .showLegend(true),
    )
    .tooltip(
      new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi).sort(common.SortOrder.Descending),
    );
  if (panel.alarm !== undefined) {
    builder.thresholdsStyle(
      new common.GraphThresholdsStyleConfigBuilder().mode(common.GraphThresholdsStyleMode.Dashed),
    );
  }
  if (panel.logarithmic) {
    builder.scaleDistribution(new common.ScaleDistributionConfigBuilder().type(common.ScaleDistribution.Log).log(10));
  }
  return builder;
}

function thresholds({ below, above }: { readonly below?: number; readonly above?: number }) {
  const steps = [{ value: null, color: below === undefined ? 'green' : 'red' }] as dashboard.Threshold[];
  if (below !== undefined) steps.push({ value: below, color: 'green' });
  if (above !== undefined) steps.push({ value: above, color: 'red' });
  return new dashboard.ThresholdsConfigBuilder().mode(dashboard.ThresholdsMode.Absolute).steps(steps);
}

function quantile(share: number, histogram: string): string {
  return `histogram_quantile(${share}, sum by (run, le) (rate(${histogram}_bucket{@}[$__rate_interval])))`;
}

function filtered(expression: string): string {
  return expression.replaceAll('{@', '{run=~"$run"');
}

export const DASHBOARD_FILE = fileURLToPath(new URL('../grafana/dashboards/repulsor.json', import.meta.url));

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(DASHBOARD_FILE, dashboardJson());
