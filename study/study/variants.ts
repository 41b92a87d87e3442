/** One way to train: what it changes of its set's pipeline. */
export interface Variant {
  readonly name: string;
  /** `PATH=VALUE`, laid on the pipeline. */
  readonly overrides: readonly string[];
  /** 'time': as many steps, with a decay of their own, as take the time of plain's. */
  readonly budget: 'steps' | 'time';
  /** Those of the first tier are trained in all sets and seeds before one of the next. */
  readonly tier: number;
}

export const PLAIN = 'plain';
/** The point that the others differ from as their names say. The pipeline of the digits has its settings, but K 1,024. */
export const MAIN = 'momentum-0.99-centred-4096';
export const EQUAL_TIME = `${MAIN}-equal-time`;

const REPULSION = 'losses.repulsion';
/** The loss of Wang and He (2025): all activations of the block as they are, no head, no queue. */
const DISPERSIVE = [
  `${REPULSION}.queue=0`,
  `${REPULSION}.keyMomentum=null`,
  `${REPULSION}.projection.centre=false`,
  `${REPULSION}.projection.pool=flatten`,
  `${REPULSION}.projection.head=identity`,
  `${REPULSION}.projection.normalize=false`,
  `${REPULSION}.form.perDimension=true`,
  `${REPULSION}.form.includeSelf=true`,
];

const keys = (momentum: number | null, centre: boolean): readonly string[] => [
  `${REPULSION}.keyMomentum=${momentum}`,
  `${REPULSION}.projection.centre=${centre}`,
];
const KEYS = keys(0.99, true);
const CURRENT = keys(null, true);

const variant = (name: string, tier: number, overrides: readonly string[]): Variant => ({
  name,
  overrides,
  budget: 'steps',
  tier,
});
const repulsor = (name: string, tier: number, keyed: readonly string[], rows = 4_096, more: readonly string[] = []) =>
  variant(name, tier, [...keyed, `${REPULSION}.queue=${rows}`, ...more]);

const core = (tier: number): readonly Variant[] => [
  variant(PLAIN, tier, [`${REPULSION}=null`]),
  variant('dispersive', tier, DISPERSIVE),
  repulsor(MAIN, tier, KEYS),
];

/** Of the digits: the parts of the method, one at a time. */
export const DIGIT_VARIANTS: readonly Variant[] = [
  ...core(0),
  repulsor('momentum-0.999-centred-4096', 0, keys(0.999, true)),
  repulsor('momentum-0.999-4096', 0, keys(0.999, false)),
  repulsor('current-4096', 0, CURRENT),
  { ...repulsor(MAIN, 1, KEYS), name: EQUAL_TIME, budget: 'time' },
  repulsor('batch', 1, CURRENT, 0),
  repulsor('momentum-0.99-centred-1024', 1, KEYS, 1_024),
  repulsor('momentum-0.99-centred-16384', 1, KEYS, 16_384),
  repulsor(`${MAIN}-tau-0.1`, 3, KEYS, 4_096, [`${REPULSION}.form.tau=0.1`]),
  repulsor(`${MAIN}-tau-2`, 3, KEYS, 4_096, [`${REPULSION}.form.tau=2`]),
];

export const EMOJI_VARIANTS: readonly Variant[] = [...core(2), repulsor('momentum-0.99-centred-1024', 2, KEYS, 1_024)];

/** The variant of equal steps that trains the same way. */
export const twinOf = (name: string): string => (name === EQUAL_TIME ? MAIN : name);

/** For tables and plots. */
const TITLES: Readonly<Record<string, string>> = {
  [PLAIN]: 'plain',
  dispersive: 'dispersive',
  [MAIN]: 'Repulsor, K 4,096',
  'momentum-0.999-centred-4096': 'momentum 0.999',
  'momentum-0.999-4096': 'momentum 0.999, not centred',
  'current-4096': 'current keys',
  [EQUAL_TIME]: 'K 4,096, equal time',
  batch: 'batch only, K 0',
  'momentum-0.99-centred-1024': 'K 1,024',
  'momentum-0.99-centred-16384': 'K 16,384',
  [`${MAIN}-tau-0.1`]: 'tau 0.1',
  [`${MAIN}-tau-2`]: 'tau 2',
};

export const titleOf = (name: string): string => TITLES[name] ?? name;
