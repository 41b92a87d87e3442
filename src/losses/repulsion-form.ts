/** How the vectors of a batch repel each other and their negatives; each kind in a file of its own. */
export const FORM_KINDS = ['l2', 'cosine', 'hinge', 'covariance', 'info-nce'] as const;

export interface RepulsionForm {
  readonly kind: (typeof FORM_KINDS)[number];
  /** Temperature of l2, cosine and info-nce. */
  readonly tau: number;
  /** Of hinge: pairs at this squared distance or further repel no more. */
  readonly margin: number;
  /**
   * 'global': one mean over all pairs, of l2, cosine and info-nce inside the log. 'per-anchor': a mean (and log) for each anchor
   * over its own pairs, then the mean over anchors.
   */
  readonly reduction: 'global' | 'per-anchor';
  /** Squared distances (l2, hinge) or the sum of squares (covariance) divided by the dimension. */
  readonly perDimension: boolean;
  /** The distance of each sample to itself counts as a pair too, as in the dispersive loss. */
  readonly includeSelf: boolean;
  /** Whether the other samples of the batch are negatives, besides the queue. */
  readonly batch: boolean;
  /** Whether samples of one class are negatives of each other. Where no class is known they are in any case. */
  readonly sameClass: boolean;
}

/** The form of a run that says nothing else, and what `repulsion` takes for what it is not told. */
export const DEFAULT_FORM: RepulsionForm = {
  kind: 'l2',
  tau: 0.5,
  margin: 1,
  reduction: 'global',
  perDimension: false,
  includeSelf: false,
  batch: true,
  sameClass: true,
};

/** What makes the l2 form, without a queue, the dispersive loss of Wang and He 2025. */
export const DISPERSIVE = {
  kind: 'l2',
  perDimension: true,
  includeSelf: true,
} as const satisfies Partial<RepulsionForm>;
