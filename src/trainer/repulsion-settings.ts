import type { ProjectionSettings } from '../losses/projection.ts';
import { DEFAULT_FORM, type RepulsionForm } from '../losses/repulsion-form.ts';
import type { ViewSettings } from '../losses/second-view.ts';

/** The repulsion: projection, form, negatives, and the guard against the batch's escape from its own queue. */
export interface RepulsionSettings {
  /** Its weight in the total loss. */
  readonly lambda: number;
  /** The block, counted from 1, whose activations repel; of several, each by a head of its own, the loss is their mean. */
  readonly block: number | readonly number[];
  readonly projection: ProjectionSettings;
  readonly form: RepulsionForm;
  /** How the second view differs whose key is the positive of info-nce. */
  readonly view: ViewSettings;
  /** K, the rows of the queue; 0 repels within the batch only. */
  readonly queue: number;
  /** The queue counts from this step on, and rises to its full weight over `ramp` steps. */
  readonly start: number;
  readonly ramp: number;
  /** Rows made more steps ago count no more; null: all count. */
  readonly maxAge: number | null;
  /**
   * Momentum of the slow copy of network and head that makes the keys (MoCo): the longer a run, the nearer to 1, for keys that lag
   * far behind say little (`repulsor_key_drift`). `null`: the keys are the detached projections of the batch, which cost
   * nothing. Without `projection.centre` the batch may flee either (docs/method.md, the trap).
   */
  readonly keyMomentum: number | null;
}

/** Defaults of the repulsion for ImageNet-size runs where the paper is silent (docs/decisions.md). */
export function defaultRepulsion(depth: number): RepulsionSettings {
  return {
    lambda: 0.5,
    block: Math.max(1, Math.floor(depth / 4)),
    projection: { pool: 'mean', head: 'mlp', dim: 128, centre: true, normalize: true },
    form: DEFAULT_FORM,
    view: { time: 'own', flip: false, shift: 0 },
    queue: 65_536,
    start: 0,
    ramp: 1_000,
    maxAge: null,
    keyMomentum: 0.999,
  };
}

/** The blocks that repel, in the order in which a row of the queue holds their keys. */
export function blocksOf({ block }: Pick<RepulsionSettings, 'block'>): readonly number[] {
  return typeof block === 'number' ? [block] : block;
}

/** Name of a block's head among the parameters; of one block alone plainly `head`. */
export function headOf(settings: Pick<RepulsionSettings, 'block'>, block: number): string {
  return blocksOf(settings).length === 1 ? 'head' : `head.block${block}`;
}

/** Whether each sample has a positive: the key of a second view of it. */
export function hasSecondView({ form }: Pick<RepulsionSettings, 'form'>): boolean {
  return form.kind === 'info-nce';
}

/** Whether keys are made by a slow copy of the network: for a queue, or for positives. */
export function usesSlowCopy(settings: RepulsionSettings): boolean {
  return settings.keyMomentum !== null && (settings.queue > 0 || hasSecondView(settings));
}
