import { setTimeout as sleep } from 'node:timers/promises';
import { GOOD, type Trial, type Verdict } from './fault.ts';
import { Ground } from './ground.ts';
import { type PlannedFault, planned } from './plan.ts';
import { saying } from './protocol-run.ts';

export interface CampaignSettings {
  readonly seed: number;
  readonly numbers: readonly number[];
  /** Told as each fault is over. */
  readonly onTried: (fault: TriedFault) => void;
  readonly say: (line: string) => void;
}

export interface TriedFault extends Trial {
  readonly number: number;
  readonly kind: string;
  readonly log: string;
  readonly trainer: string;
  readonly seconds: number;
}

/** A trial that lasts longer hangs. */
const LONGEST_MS = 600_000;

/** Tries the faults in three lanes: those on Kafka share a broker, so they come one after the other; the real trainer; the others. */
export async function runCampaign({ seed, numbers, onTried, say }: CampaignSettings): Promise<TriedFault[]> {
  const ground = await Ground.open(say);
  const tried: TriedFault[] = [];
  const lane = async (faults: readonly PlannedFault[]): Promise<void> => {
    for (const fault of faults) {
      const found = await tryOne(ground, fault);
      tried.push(found);
      onTried(found);
    }
  };
  try {
    const faults = numbers.map((number) => planned(seed, number));
    const onKafka = faults.filter(({ kind }) => kind.log === 'kafka');
    const onFiles = faults.filter(({ kind }) => kind.log === 'file');
    const real = onFiles.filter(({ kind }) => kind.trainer === 'real');
    await Promise.all([lane(onKafka), lane(real), lane(onFiles.filter((fault) => !real.includes(fault)))]);
  } finally {
    await ground.close();
  }
  return tried.sort((a, b) => a.number - b.number);
}

async function tryOne(ground: Ground, { number, kind, draw }: PlannedFault): Promise<TriedFault> {
  const begun = performance.now();
  let trial: Trial;
  const over = new AbortController();
  try {
    const late = sleep(LONGEST_MS, undefined, { signal: over.signal }).then(
      (): Trial => ({ verdict: 'not tried', moment: '?', detail: 'the trial hung' }),
    );
    late.catch(() => undefined);
    trial = await Promise.race([kind.run(ground, draw), late]);
  } catch (error) {
    trial = { verdict: 'not tried', moment: '?', detail: saying(error) };
  } finally {
    over.abort();
  }
  const { name, log, trainer } = kind;
  return { number, kind: name, log, trainer, seconds: (performance.now() - begun) / 1000, ...trial };
}

const counted = (tried: readonly TriedFault[], verdict: Verdict): number =>
  tried.filter((fault) => fault.verdict === verdict).length;

/** The last line. What must not be is told when it is. */
export function summary(tried: readonly TriedFault[]): string {
  const of = (verdict: Verdict): string => `${counted(tried, verdict)} ${verdict}`;
  const always: Verdict[] = ['recovered identical', 'refused correctly', 'lost', 'repeated'];
  const others = (['silently accepted', 'wrongly refused', 'not tried'] as const).filter((v) => counted(tried, v) > 0);
  return [`${tried.length} faults`, ...[...always, ...others].map(of)].join(', ');
}

export const isGood = ({ verdict }: TriedFault): boolean => GOOD.includes(verdict);

export function lineOf({ number, kind, log, trainer, moment, verdict, detail, seconds }: TriedFault): string {
  const where = `${log}${trainer === 'real' ? ', real trainer' : ''}`;
  const told = detail === undefined ? '' : `\n     ${detail.replaceAll('\n', '\n     ')}`;
  return `${String(number).padStart(4)} ${verdict.padEnd(19)} ${kind} (${where}): ${moment} [${seconds.toFixed(1)} s]${told}`;
}

/** What was tried, by kind and log, as a table of Markdown. */
export function table(tried: readonly TriedFault[]): string {
  const rows = new Map<string, TriedFault[]>();
  for (const fault of tried) {
    const key = `${fault.kind} | ${fault.log} | ${fault.trainer === 'real' ? '`repulsor train`' : 'protocol'}`;
    rows.set(key, [...(rows.get(key) ?? []), fault]);
  }
  const line = ([key, of]: [string, TriedFault[]]): string => {
    const moments = new Set(of.map(({ moment }) => moment)).size;
    return `| ${key} | ${of.length} | ${moments} | ${counted(of, 'recovered identical')} | ${counted(of, 'refused correctly')} | ${of.filter((each) => !isGood(each)).length} |`;
  };
  const head = '| fault | log | trainer | tried | moments | recovered identical | refused correctly | failed |';
  return [head, '| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |', ...[...rows].sort().map(line)].join('\n');
}
