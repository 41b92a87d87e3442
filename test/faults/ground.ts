import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommittedOutcome } from '../../src/certify/committed-outcome.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { Defect } from './broken-child.ts';
import type { LogKind } from './fault.ts';
import { KafkaGround } from './kafka-ground.ts';
import { BEGUN, copyRun, FINAL, goOn, outcomeOf, type ProtocolRun } from './protocol-run.ts';

/** What all trials of a campaign share: a scratch folder, runs made once, the references, and the broker. */
export class Ground {
  readonly folder: string;
  readonly #say: (line: string) => void;
  readonly #broken: Defect | undefined;
  #trials = 0;
  #made: Promise<ProtocolRun> | null = null;
  #reference: Promise<CommittedOutcome> | null = null;
  #kafka: Promise<KafkaGround> | null = null;
  readonly #kept = new Map<string, Promise<unknown>>();

  private constructor(folder: string, say: (line: string) => void, broken: Defect | undefined) {
    this.folder = folder;
    this.#broken = broken;
    this.#say = say;
  }

  static async open(say: (line: string) => void, broken?: Defect): Promise<Ground> {
    return new Ground(await mkdtemp(join(tmpdir(), 'repulsor-faults-')), say, broken);
  }

  say(line: string): void {
    this.#say(line);
  }

  /** A folder of its own for a trial. */
  async newFolder(): Promise<string> {
    const folder = join(this.folder, `trial-${++this.#trials}`);
    await mkdir(folder);
    return folder;
  }

  /** What is costly to make, made once. */
  once<T>(name: string, make: () => Promise<T>): Promise<T> {
    let made = this.#kept.get(name) as Promise<T> | undefined;
    if (made === undefined) {
      made = make();
      this.#kept.set(name, made);
    }
    return made;
  }

  /** A new run at step BEGUN, in a folder of its own. */
  async newRun(log: LogKind): Promise<ProtocolRun> {
    const folder = await this.newFolder();
    return log === 'file' ? this.fileRun(folder) : this.kafkaRun(folder);
  }

  /** A new run at step BEGUN, on a file log below `folder`. */
  async fileRun(folder: string): Promise<ProtocolRun> {
    this.#made ??= (async () => {
      const at = join(this.folder, 'made');
      const run = { url: `file:${join(at, 'log')}`, folder: at, run: 'scenario' };
      await goOn(run, BEGUN);
      return run;
    })();
    const run = await copyRun(await this.#made, folder);
    return this.#broken === undefined ? run : { ...run, broken: this.#broken };
  }

  /** A new run at step BEGUN, on the broker; its blobs below `folder`. */
  async kafkaRun(folder: string): Promise<ProtocolRun> {
    const kafka = await this.kafka();
    const run = `scenario-${this.#trials}-${Date.now().toString(36)}`;
    const at: ProtocolRun = { url: kafka.directUrl, folder, run, group: run };
    await this.once(`images of ${kafka.broker.dir}`, async () => {
      const log = await openLog(at.url);
      await log.createTopic('images', { partitions: 2 });
      await log.close();
    });
    await goOn(at, BEGUN);
    return at;
  }

  /** The protocol's run that no fault came over, at step FINAL. */
  reference(): Promise<CommittedOutcome> {
    this.#reference ??= (async () => {
      const at = join(this.folder, 'reference');
      const run = { url: `file:${join(at, 'log')}`, folder: at, run: 'scenario' };
      await goOn(run, FINAL);
      return (await outcomeOf(run))!;
    })();
    return this.#reference;
  }

  /** Started at the first call. */
  kafka(): Promise<KafkaGround> {
    this.#kafka ??= KafkaGround.start(join(this.folder, 'kafka'));
    return this.#kafka;
  }

  async close(): Promise<void> {
    await (await this.#kafka?.catch(() => null))?.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
