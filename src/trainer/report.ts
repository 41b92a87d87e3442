/** What one training step tells: plain numbers, made once, shown by progress, metrics and the journal alike. */
export interface StepReport {
  /** Steps done, this one included. */
  readonly step: number;
  /** Loss terms by name; `total` is the one minimised. */
  readonly terms: Readonly<Record<string, number>>;
  /** Global L2 norm of the gradient before clipping. */
  readonly gradientNorm: number;
  readonly parameterNorm: number;
  readonly learningRate: number;
  readonly samples: number;
  /** Of these, read again from the archive. */
  readonly archived: number;
  /**
   * How far what the stream brings now is from what it brought before (stream-shift.ts): about 1 for one that does not change.
   * Null in the first 40 steps of a process, and in a replay.
   */
  readonly streamShift: number | null;
  /** Wall seconds of the engine call, without what a commit held it up. */
  readonly stepSeconds: number;
  /** Wall seconds in which no step ran because the batch was not there. */
  readonly waitSeconds: number;
  /** Null when the run has no repulsion. */
  readonly repulsion: RepulsionReport | null;
}

/** Of several blocks the spread is that of the worst in each respect; `blocks` has each one's. */
export interface RepulsionReport extends SpreadReport {
  /** Valid rows in the queue after the step, and its size K. */
  readonly queueFill: number;
  readonly queueCapacity: number;
  /** Age in steps of the queue's oldest and mean valid row. */
  readonly ageMax: number;
  readonly ageMean: number;
  readonly blocks: readonly BlockReport[];
}

/** Whether a batch is spread or has escaped from its queue; how it is measured: src/losses/spread.ts. */
export interface SpreadReport {
  /** Mean squared distance between the batch's projections and the keys of the same inputs; 0 with current keys. */
  readonly drift: number;
  /** The same distance where keys are of second views: how near positives lie; null where there are none. */
  readonly positiveDistance: number | null;
  /** Squared distance between the mean projection of the batch and the mean row of the queue: near 4 when the batch has fled. */
  readonly shift: number;
  /** Mean cosine between the batch and the valid rows of the queue. */
  readonly similarity: number;
  /** Mean squared distance between the projections of two samples of the batch; 0 is collapse, 2 is spread. */
  readonly pairDistance: number;
  /** log mean exp(-2 d^2) over pairs of the batch (Wang and Isola 2020); 0 is collapse. */
  readonly uniformity: number;
}

export interface BlockReport extends SpreadReport {
  /** Counted from 1. */
  readonly block: number;
}

/** What one evaluation during training tells: the features of a block, of a fixed set of images. */
export interface EvaluationReport {
  /** Steps done when the weights were as they were measured. */
  readonly step: number;
  /** Mean squared distance of the normalised features of one image under two draws of noise. */
  readonly alignment: number;
  /** log mean exp(-2 d^2) over pairs of images. */
  readonly uniformity: number;
  readonly effectiveRank: number;
  /** Share of images told by their nearest others, and by a linear map; null without labels. */
  readonly knnAccuracy: number | null;
  readonly linearProbe: number | null;
  readonly images: number;
  /** Wall seconds from the step to the result; steps went on meanwhile. */
  readonly seconds: number;
}

/** What one commit tells. */
export interface CommitReport {
  readonly step: number;
  readonly generation: number;
  /** Samples trained since the run began, up to `step`: the `samples` of the committed stream position. */
  readonly samples: number;
  /** Wall seconds from the copy of the state to the committed transaction. */
  readonly seconds: number;
  /** Of these, seconds in which no step could run: until the state was held. */
  readonly stallSeconds: number;
  /** Bytes of blobs written; unchanged blobs are not written again. */
  readonly bytesWritten: number;
}
