/** Measures of the network's features during training (docs/operations.md). They change nothing of the training. */
export interface EvaluationSettings {
  /** A measure every so many steps; null: none. */
  readonly everySteps: number | null;
  /** The topic whose first images are measured, in the run's log; null: the run's own, whose images it is trained on. */
  readonly topic: string | null;
  /** How many of them. */
  readonly images: number;
  /** The block, counted from 1, whose features are measured; null: the first that repels, or else the middle one. */
  readonly block: number | null;
  /** Time to which the images are noised, from noise (0) to data (1). */
  readonly time: number;
}
