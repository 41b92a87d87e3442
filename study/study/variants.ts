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
/** What the pipeline of the digits is set to. */
export const MAIN = 'current-4096';
export const EQUAL_TIME = `${MAIN}-equal-time`;

const REPULSION = 'losses.repulsion';
/** What the loss of Wang and He (2025) repels: all activations of the block as they are, without a head. */
const ACTIVATIONS = [
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
const DISPERSIVE = [...keys(null, false), `${REPULSION}.queue=0`, ...ACTIVATIONS];
const MOMENTUM = keys(0.999, false);
const MOMENTUM_CENTRED = keys(0.999, true);
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
  repulsor('current-4096', tier, CURRENT),
  repulsor('momentum-4096', tier, MOMENTUM),
];

/** Of the digits: the parts of the method, one at a time. */
export const DIGIT_VARIANTS: readonly Variant[] = [
  ...core(0),
  repulsor('momentum-centred-4096', 0, MOMENTUM_CENTRED),
  repulsor('momentum-0.99-centred-4096', 0, keys(0.99, true)),
  repulsor('current-activations-1024', 5, CURRENT, 1_024, ACTIVATIONS),
  repulsor('current-no-head-4096', 5, CURRENT, 4_096, [`${REPULSION}.projection.head=identity`]),
  repulsor('current-0', 1, CURRENT, 0),
  { ...repulsor(MAIN, 1, CURRENT), name: EQUAL_TIME, budget: 'time' },
  repulsor('current-1024', 1, CURRENT, 1_024),
  repulsor('current-16384', 1, CURRENT, 16_384),
  repulsor('current-4096-tau-0.1', 2, CURRENT, 4_096, [`${REPULSION}.form.tau=0.1`]),
  repulsor('current-4096-tau-2', 2, CURRENT, 4_096, [`${REPULSION}.form.tau=2`]),
];

export const EMOJI_VARIANTS: readonly Variant[] = core(3);

/** The variant of equal steps that trains the same way. */
export const twinOf = (name: string): string => (name === EQUAL_TIME ? MAIN : name);

/** For tables and plots. */
const TITLES: Readonly<Record<string, string>> = {
  [PLAIN]: 'plain',
  dispersive: 'dispersive',
  'current-4096': 'K 4,096, current keys',
  'momentum-4096': 'K 4,096, momentum keys, not centred',
  'momentum-centred-4096': 'K 4,096, momentum keys',
  'momentum-0.99-centred-4096': 'K 4,096, momentum keys 0.99',
  'current-no-head-4096': 'K 4,096, current keys, no head',
  'current-activations-1024': 'K 1,024, current keys, all activations',
  'current-0': 'batch only, K 0',
  'current-1024': 'K 1,024, current keys',
  'current-16384': 'K 16,384, current keys',
  'current-4096-tau-0.1': 'K 4,096, current keys, tau 0.1',
  'current-4096-tau-2': 'K 4,096, current keys, tau 2',
  [EQUAL_TIME]: 'K 4,096, current keys, equal time',
};

export const titleOf = (name: string): string => TITLES[name] ?? name;
