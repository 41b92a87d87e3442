import { chmod, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type FaultKind, Judged } from '../fault.ts';
import { type LifeEnd, type LifeOptions, startProtocol } from '../life.ts';
import { demandOrderly } from '../lives.ts';
import { mayMount, mountMemory, mountReadOnly, unmount } from '../mounts.ts';
import { BEGUN, copyRun, judge, type ProtocolRun, STEPS, trial } from '../protocol-run.ts';
import { operationsIn, type Phase } from './kills.ts';

/** Disks that are full, fail or may not be written: a commit fails with an error that says so, and the last one stands. */

const COMMITS = 2;
const MADE = BEGUN + COMMITS * STEPS;

const live = (at: ProtocolRun, options: LifeOptions = {}): Promise<LifeEnd> =>
  startProtocol({ ...at, commits: COMMITS }, options).ended;

/** An operation that fails: once, or it and all after it. */
export const failingFileOperation: FaultKind = {
  name: 'a file operation that fails (EIO, ENOSPC, EROFS, EACCES)',
  log: 'file',
  trainer: 'protocol',
  async run(ground, draw) {
    const phases: Phase[] = ['take-over', 'commit', 'commit', 'removal of old blobs'];
    const acts = ['EIO', 'ENOSPC', 'half-ENOSPC', 'EROFS', 'EACCES'] as const;
    const cut = draw.pick('operation', await operationsIn(ground, draw.turn('phase', phases), acts));
    const stays = draw.share('stays') < 0.5;
    return trial(
      () => `${cut.name}${stays ? ' and all after it' : ''}`,
      async () => {
        const at = await ground.fileRun(await ground.newFolder());
        const end = await live(at, { fileFault: { at: cut.index, act: cut.act, stays, within: at.folder } });
        if (end.operations.length === 0) throw new Judged('not tried', `${cut.name} was not reached: ${end.stderr}`);
        const told = demandOrderly(end, BEGUN);
        await judge(at, { told, made: MADE }, await ground.reference());
        return 'recovered identical';
      },
    );
  },
};

/** A real file system that is full: of bytes, or of files. */
export const fullDisk: FaultKind = {
  name: 'disk full (a tmpfs of limited size; else ulimit -f)',
  log: 'file',
  trainer: 'protocol',
  async run(ground, draw) {
    const pages = draw.below('pages', 14);
    const ofFiles = draw.ordinal % 3 === 2;
    const left = ofFiles ? `${draw.below('files', 8)} files` : `${pages} pages of 4 KiB`;
    let how = `room for ${left} more`;
    return trial(
      () => how,
      async () => {
        const folder = await ground.newFolder();
        const used = await usageOf((await ground.fileRun(await ground.newFolder())).folder);
        const files = ofFiles ? used.files + 1 + draw.below('files', 8) : 10_000;
        const bytes = ofFiles ? 1 << 24 : used.bytes + pages * 4096;
        if (!mountMemory(folder, bytes, files)) {
          how = `no file may be larger than ${8 + pages} blocks of 512 bytes (ulimit -f)`;
          ground.say('NOT TRIED HERE: a full tmpfs, which needs root; files are limited by ulimit -f instead');
          const at = await ground.fileRun(folder);
          const told = demandOrderly(await live(at, { fileLimit: 8 + pages }), BEGUN);
          await judge(at, { told, made: MADE }, await ground.reference());
          return 'recovered identical';
        }
        try {
          const at = await ground.fileRun(folder);
          const end = await live(at);
          if (end.code === 0) how += ' (enough)';
          const told = demandOrderly(end, BEGUN);
          // Somebody makes room.
          const roomy = await copyRun(at, await ground.newFolder());
          await judge(roomy, { told, made: MADE }, await ground.reference());
          return 'recovered identical';
        } finally {
          unmount(folder);
        }
      },
    );
  },
};

/** As tmpfs counts: whole pages, and one more for a folder's own. */
async function usageOf(folder: string): Promise<{ bytes: number; files: number }> {
  const names = await readdir(folder, { recursive: true });
  let bytes = 0;
  for (const name of names) {
    const there = await stat(join(folder, name));
    if (there.isFile()) bytes += Math.ceil(there.size / 4096) * 4096;
  }
  return { bytes, files: names.length + 1 };
}

const FOLDERS = ['blobs', 'log', 'log/ids', 'log/topics/scenario.commits', 'log/topics/scenario.journal', '.'];

export const readOnlyFolder: FaultKind = {
  name: 'a folder that may not be written',
  log: 'file',
  trainer: 'protocol',
  async run(ground, draw) {
    const name = draw.turn('folder', FOLDERS);
    return trial(
      () => `${name} of the run ${mayMount() ? 'on a read-only mount' : 'without the permission'}`,
      async () => {
        const at = await ground.fileRun(await ground.newFolder());
        const folder = join(at.folder, name);
        const mounted = mountReadOnly(folder);
        if (!mounted) await chmod(folder, 0o555);
        let end: LifeEnd;
        try {
          end = await live(at);
        } finally {
          if (mounted) unmount(folder);
          else await chmod(folder, 0o755);
        }
        const told = demandOrderly(end, BEGUN);
        if (told !== BEGUN) throw new Judged('not tried', `it could write all the same: ${end.stdout}`);
        await judge(at, { told: BEGUN, made: BEGUN }, await ground.reference());
        return 'recovered identical';
      },
    );
  },
};
