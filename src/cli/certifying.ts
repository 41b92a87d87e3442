import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Certificate, TrialResult } from '../certify/certificate.ts';
import { certify } from '../certify/certify.ts';
import { htmlReport } from '../certify/html-report.ts';
import { MARK, textReport } from '../certify/text-report.ts';
import type { EngineWish } from '../engine/engine.ts';
import { EXIT, RepulsorError } from '../errors.ts';
import { parseLogUrl } from '../log/log-url.ts';
import { duration } from '../metrics/progress-format.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import type { Console } from './console.ts';
import { interruption } from './interruption.ts';
import { statusLine } from './status-line.ts';

export interface CertifyOptions {
  readonly log?: string;
  readonly topic?: string[];
  readonly set?: string[];
  readonly steps: number;
  readonly trials?: number;
  readonly seed: number;
  readonly only?: string;
  readonly out?: string;
  readonly engine: EngineWish;
  readonly threads?: number;
  readonly json?: boolean;
}

/** What `repulsor certify` does with its settings; the exit status. */
export async function runCertify(
  pipeline: Pipeline,
  file: string,
  options: CertifyOptions,
  console: Console,
): Promise<number> {
  const out = options.out ?? join('runs', `certify-${pipeline.name}.html`);
  const line = statusLine(console.json);
  const interrupt = interruption('stopping, and removing what was made', (words) => line.note(words), 500);
  let certificate: Certificate;
  try {
    certificate = await certify({
      pipeline,
      file,
      broker: options.log?.startsWith('kafka:') ? options.log : null,
      steps: options.steps,
      trials: options.trials ?? null,
      seed: options.seed,
      only: options.only ?? null,
      engine: options.engine,
      threads: options.threads ?? null,
      repeat: repeatArguments(file, options),
      signal: interrupt.signal,
      observer: {
        onNote: line.note,
        onWarning: (text) => (console.json ? console.warn(text) : line.note(`warning: ${text}`)),
        onBegin: (trial, done, total, left) => line.status(progress(done, total, left, trial)),
        onTrial: (result) => line.note(trialLine(result)),
      },
    });
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    line.note('interrupted: nothing was certified, and nothing is left behind');
    return EXIT.interrupted;
  } finally {
    line.end();
    interrupt.restore();
  }
  await writeReport(out, htmlReport(certificate));
  console.result({ ...certificate, report: out }, `${textReport(certificate)}\nreport: ${out}`);
  return certificate.held ? EXIT.done : EXIT.failed;
}

/** Without secrets: they come from the environment again. */
function repeatArguments(file: string, options: CertifyOptions): string {
  const words = [file, `--seed ${options.seed}`, `--steps ${options.steps}`];
  if (options.log !== undefined) words.push(`--log ${parseLogUrl(options.log).url}`);
  for (const topic of options.topic ?? []) words.push(`--topic ${topic}`);
  for (const setting of options.set ?? []) words.push(`--set '${setting.replaceAll("'", "'\\''")}'`);
  if (options.engine !== 'auto') words.push(`--engine ${options.engine}`);
  if (options.threads !== undefined) words.push(`--threads ${options.threads}`);
  return words.join(' ');
}

const trialLine = ({ id, outcome, what, seconds }: TrialResult): string =>
  `${MARK[outcome]} ${id.padEnd(26)} ${`${seconds.toFixed(1)} s`.padStart(7)}  ${outcome === 'held' ? '' : `${outcome}: `}${what}`;

function progress(done: number, total: number, left: number | null, trial: string): string {
  const time = left === null ? '' : `  ${duration(left)} left`;
  return `trial ${done + 1}/${total}${time}  ${trial}`;
}

async function writeReport(path: string, html: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, html);
  } catch (cause) {
    throw new RepulsorError('STORE_FAILED', `the report ${path} cannot be written: ${(cause as Error).message}`, {
      hint: 'name another file with --out',
      cause,
    });
  }
}
