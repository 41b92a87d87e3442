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
export const MAIN = 'repulsor-4096';
export const EQUAL_TIME = 'repulsor-4096-equal-time';

const REPULSION = 'losses.repulsion';
/** The loss of Wang and He (2025): all activations of the block as they are, no head, no queue. */
const DISPERSIVE = [
  `${REPULSION}.queue=0`,
  `${REPULSION}.keyMomentum=null`,
  `${REPULSION}.projection.pool=flatten`,
  `${REPULSION}.projection.head=identity`,
  `${REPULSION}.projection.normalize=false`,
  `${REPULSION}.form.perDimension=true`,
  `${REPULSION}.form.includeSelf=true`,
];

const CENTRED = `${REPULSION}.projection.centre=true`;

const variant = (name: string, tier: number, overrides: readonly string[]): Variant => ({
  name,
  overrides,
  budget: 'steps',
  tier,
});
const queue = (rows: number, tier: number) => variant(`repulsor-${rows}`, tier, [`${REPULSION}.queue=${rows}`]);

const core = (tier: number): readonly Variant[] => [
  variant(PLAIN, tier, [`${REPULSION}=null`]),
  variant('dispersive', tier, DISPERSIVE),
  queue(4_096, tier),
];

/** Of the digits: the parts of the method, one at a time, about the pipeline's own settings. */
export const DIGIT_VARIANTS: readonly Variant[] = [
  ...core(0),
  { ...queue(4_096, 0), name: EQUAL_TIME, budget: 'time' },
  queue(0, 1),
  queue(1_024, 1),
  queue(16_384, 1),
  variant('repulsor-4096-current-keys', 1, [`${REPULSION}.keyMomentum=null`, CENTRED]),
  variant('repulsor-4096-centred', 1, [CENTRED]),
  variant('repulsor-4096-tau-0.1', 2, [`${REPULSION}.form.tau=0.1`]),
  variant('repulsor-4096-tau-2', 2, [`${REPULSION}.form.tau=2`]),
];

export const EMOJI_VARIANTS: readonly Variant[] = [...core(3), queue(1_024, 3)];

/** The variant of equal steps that trains the same way. */
export const twinOf = (name: string): string => (name === EQUAL_TIME ? MAIN : name);

/** For tables and plots. */
const TITLES: Readonly<Record<string, string>> = {
  [PLAIN]: 'plain',
  dispersive: 'dispersive',
  'repulsor-0': 'batch only, K 0',
  'repulsor-1024': 'Repulsor, K 1,024',
  [MAIN]: 'Repulsor, K 4,096',
  'repulsor-16384': 'Repulsor, K 16,384',
  'repulsor-4096-tau-0.1': 'K 4,096, tau 0.1',
  'repulsor-4096-tau-2': 'K 4,096, tau 2',
  'repulsor-4096-current-keys': 'K 4,096, current keys, centred',
  'repulsor-4096-centred': 'K 4,096, centred',
  [EQUAL_TIME]: 'K 4,096, equal time',
};

export const titleOf = (name: string): string => TITLES[name] ?? name;
