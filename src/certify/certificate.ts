import type { SettingDifference } from '../checkpoint/config-difference.ts';
import type { TrialGroup } from './trials.ts';

/** `not carried out`: what was to happen did not come to happen, so that nothing is known. It is not held. */
export type TrialOutcome = 'held' | 'not held' | 'not carried out';

/** One process of a trial. */
export interface LifeStory {
  /** Steps done when it began and when it ended, as it told; null before it had recovered. */
  readonly from: number | null;
  readonly to: number | null;
  /** How it ended: by which accident, or as which exit status says. */
  readonly end: 'done' | 'killed' | 'stopped' | 'fenced' | 'refused' | 'failed';
  /** Where its accident came, in words; null for none. */
  readonly accident: string | null;
}

export interface TrialResult {
  readonly id: string;
  readonly group: TrialGroup;
  readonly outcome: TrialOutcome;
  /** What was seen: of one that did not hold, what is wrong. */
  readonly what: string;
  readonly lives: readonly LifeStory[];
  readonly seconds: number;
  /** The command that does the same again. */
  readonly repeat: string;
}

/** The run that nothing happened to. */
export interface ReferenceFacts {
  readonly steps: number;
  readonly samples: number;
  readonly commits: number;
  /** Hex. Chains every step's samples, losses and keys. */
  readonly journal_digest: string;
  readonly blobs: readonly { readonly name: string; readonly sha256: string; readonly bytes: number }[];
  readonly engine: string;
  readonly seconds: number;
}

/** What `repulsor certify` found: the JSON of the command, and all that the report shows. */
export interface Certificate {
  readonly held: boolean;
  /** Of the trials. */
  readonly counts: Readonly<Record<TrialOutcome, number>>;
  readonly version: string;
  /** ISO 8601. */
  readonly time: string;
  readonly seconds: number;
  readonly pipeline: { readonly name: string; readonly file: string; readonly config_digest: string };
  readonly seed: number;
  readonly log: string;
  readonly input: {
    readonly from: string;
    readonly records: number;
    readonly images: number;
    readonly partitions: number;
  };
  /** Null when the engine gives the same bits again; else the first step that differs, and how. */
  readonly not_deterministic: string | null;
  readonly reference: ReferenceFacts;
  readonly changed: readonly SettingDifference[];
  readonly trials: readonly TrialResult[];
  /** What a reader should know: fallbacks, what was left behind, what was not certified. */
  readonly notes: readonly string[];
}
