import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '../../src/certify/child.ts';
import { live, type Parts } from '../../src/certify/live.ts';
import { overlay } from '../../src/certify/overlay.ts';
import { RepulsorError } from '../../src/errors.ts';
import type { FencedWriter, Log, Transaction } from '../../src/log/log.ts';

/** Ways to break what `repulsor certify` is there to certify; the pipeline's name chooses one. */
const BROKEN: Readonly<Record<string, Parts>> = {
  /** A step that gives other bits each time. */
  noisy: {
    engine: (engine) =>
      overlay(engine, {
        async compile(definition) {
          const program = await engine.compile(definition);
          const noise = (process.pid % 1000) / 1e6;
          return overlay(program, {
            async run(inputs, step) {
              const outputs = await program.run(inputs, step);
              const { data, ...report } = outputs['report']!;
              return { ...outputs, report: { ...report, data: (data as Float32Array).map((x) => x + noise) } };
            },
          });
        },
      }),
  },
  /** A log whose transactions are none: each append is there at once. */
  torn: { log: (log) => overlay(log, { takeOver: async (id) => torn(await log.takeOver(id)) }) },
  /** A log that lets a fenced writer go on. */
  unfenced: {
    log: (log) => overlay(log, { takeOver: async (id) => unfenced(log, id, await log.takeOver(id)) }),
  },
  /** A log that passes over a record where a read goes on. */
  forgetful: {
    log: (log) =>
      overlay(log, {
        read(topic, options) {
          const from = new Map([...options.from].map(([p, offset]) => [p, offset > 2 ? offset + 1 : offset] as const));
          return log.read(topic, topic === 'input' ? { ...options, from } : options);
        },
      }),
  },
  /** A store that takes what it reads for what was written. */
  trusting: {
    store: (store) =>
      overlay(store, {
        async *get({ sha256 }) {
          const name = (await readdir(store.where)).find((file) => file.startsWith(sha256))!;
          yield* createReadStream(join(store.where, name));
        },
      }),
  },
};

function torn(writer: FencedWriter): FencedWriter {
  const begin = async (): Promise<Transaction> => ({
    async append(topic, records) {
      const own = await writer.begin();
      const places = await own.append(topic, records);
      await own.commit();
      return places;
    },
    sendOffsets: async () => undefined,
    commit: async () => undefined,
    abort: async () => undefined,
  });
  return { epoch: writer.epoch, begin, close: () => writer.close() };
}

function unfenced(log: Log, id: string, writer: FencedWriter): FencedWriter {
  let current = writer;
  return {
    epoch: writer.epoch,
    async begin() {
      try {
        return await current.begin();
      } catch (error) {
        if (!(error instanceof RepulsorError) || error.code !== 'FENCED') throw error;
        current = await log.takeOver(id);
        return current.begin();
      }
    },
    close: () => current.close(),
  };
}

await runChild((task, say) => live(task, say, BROKEN[task.pipeline.name] ?? {}));
