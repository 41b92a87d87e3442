import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RepulsorError } from '../../errors.ts';
import { createExclusively, isCode, makeFolder, removeIfThere } from '../../files/durable-file.ts';
import type { ProcessIdentity } from '../../files/process-identity.ts';
import { checksum } from './crc.ts';

/*
 * The chain of a transactional id: all that ever happened to it, in one order.
 *
 *   SLOT.entry = line          slots count from 0, 16 digits; each is one takeover or one commit
 *   SLOT.chain = line{1024}    slots SLOT to SLOT + 1023 in one file, once all are there (SLOT is a multiple of 1024)
 *   line       = crc SP json LF     crc: CRC-32 of json, 8 hex digits; json: an Entry
 *
 * Why a fenced writer can change nothing, wherever it is paused and for however long:
 *
 * 1. An entry comes to be by link(2) of a synced file: whole, and exclusively. So each slot is decided once, and all
 *    processes agree on what it holds.
 * 2. A writer of epoch N puts its next entry only into the slot behind the last entry that itself wrote. It never
 *    looks for a free one.
 * 3. A takeover reads to the end of the chain and puts its claim (epoch N + 1) into the first free slot, k. Had the
 *    old writer committed before, the commit lies before k and is part of the history that the new writer has read.
 *    Otherwise k is the old writer's next slot too (2), it is taken (1), and its commit fails: FENCED. Nothing that it
 *    writes from then on is named by any entry, and records count only if a commit entry names them, by segment file,
 *    byte range and offsets; it writes its records to segments of its own epoch, which nobody else appends to.
 *    There is no instant in between: the link is both the commit and the check.
 * 4. Merging a full group of slots into one file frees their names, so a paused writer could link into a freed one.
 *    The merged file is durable before any name is freed. So a writer that finds, after its link, a merged file over
 *    its slot believes that file, not its link; and a reader that finds an entry looks for the merged file after it,
 *    and believes that one. Merged files are equal whoever makes them, and are never removed.
 */

const DEFAULT_GROUP = 1024;
const SLOT_DIGITS = 16;

/**
 * A run of committed records: offsets base .. base + count - 1, in bytes start .. end of a segment. One without records says
 * where the partition ends: what lies between is a gap, as a copied topic may have at its end.
 */
export interface Span {
  readonly topic: string;
  readonly partition: number;
  readonly base: number;
  readonly count: number;
  /** The segment's name: its own base, and the epoch that wrote it. */
  readonly segment: number;
  readonly epoch: number;
  readonly start: number;
  readonly end: number;
  /** The largest timestamp. */
  readonly newest: number;
}

export interface GroupOffsets {
  readonly group: string;
  readonly topic: string;
  readonly next: readonly (readonly [partition: number, offset: number])[];
}

export interface Claim {
  readonly kind: 'claim';
  readonly epoch: number;
  readonly writer: ProcessIdentity;
  readonly time: number;
}

export interface Commit {
  readonly kind: 'commit';
  readonly epoch: number;
  /** Makes the entry unlike any other: how a writer knows its own. */
  readonly nonce: string;
  readonly time: number;
  readonly spans: readonly Span[];
  readonly groups: readonly GroupOffsets[];
}

export type Entry = Claim | Commit;

/** Reads and extends the chain in `folder`. It holds no state: the reader counts the slots. */
export class Chain {
  readonly folder: string;
  /** Slots merged into one file. All processes of a log must have the same. */
  readonly #group: number;

  constructor(folder: string, group = DEFAULT_GROUP) {
    this.folder = folder;
    this.#group = group;
  }

  create(): Promise<void> {
    return makeFolder(this.folder);
  }

  /** The entries from `slot` on, as many as there are now. @throws RepulsorError STATE_DAMAGED */
  async readFrom(slot: number): Promise<Entry[]> {
    const entries: Entry[] = [];
    for (;;) {
      const next = slot + entries.length;
      const group = next - (next % this.#group);
      const merged = next === group ? await this.#readMerged(group) : null;
      if (merged !== null) {
        entries.push(...merged);
        continue;
      }
      const single = await this.#readLines(this.#entryPath(next), 1);
      // In this order: an entry found beside a merged file may be that of a fenced writer (4).
      const late = await this.#readMerged(group);
      if (late !== null) entries.push(...late.slice(next - group));
      else if (single !== null) entries.push(single[0]!);
      else break;
    }
    return entries;
  }

  /** @throws RepulsorError STATE_DAMAGED when entries lie behind a missing one: `end` is the slot that reads as free. */
  async checkNoGap(end: number): Promise<void> {
    const beyond = (await this.#names()).some((name) => Number.parseInt(name, 10) > end);
    if (!beyond || (await this.readFrom(end)).length > 0) return;
    throw this.#gap(end);
  }

  #gap(slot: number): RepulsorError {
    return new RepulsorError('STATE_DAMAGED', `${this.#entryPath(slot)} is missing, but later entries are there`, {
      hint: 'Restore the file from a copy: commits that came after it cannot be trusted without it.',
    });
  }

  /** Puts the entry into `slot`. False when the slot holds another one. Durable when it resolves to true. */
  async put(slot: number, entry: Entry): Promise<boolean> {
    const line = encodeLine(entry);
    if (!(await createExclusively(this.#entryPath(slot), line))) return false;
    const group = slot - (slot % this.#group);
    const merged = await this.#readText(this.#mergedPath(group));
    if (merged === null || lineOf(merged, slot - group) === line.toString()) return true;
    await removeIfThere(this.#entryPath(slot));
    return false;
  }

  /** Merges the group that ends before `slot`, when one does. Several processes may do it at once. */
  async merge(slot: number): Promise<void> {
    const group = slot - this.#group;
    if (slot === 0 || slot % this.#group !== 0) return;
    const slots = Array.from({ length: this.#group }, (_, index) => group + index);
    if ((await this.#readText(this.#mergedPath(group))) === null) {
      const lines: (string | null)[] = [];
      for (const at of slots) lines.push(await this.#readText(this.#entryPath(at)));
      const missing = lines.indexOf(null);
      if (missing < 0) await createExclusively(this.#mergedPath(group), Buffer.from(lines.join('')));
      // Or it was freed by whoever merged the group just now.
      else if ((await this.#readText(this.#mergedPath(group))) === null) throw this.#gap(group + missing);
    }
    for (const at of slots) await removeIfThere(this.#entryPath(at));
  }

  #readMerged(group: number): Promise<Entry[] | null> {
    return this.#readLines(this.#mergedPath(group), this.#group);
  }

  async #readLines(path: string, count: number): Promise<Entry[] | null> {
    const text = await this.#readText(path);
    if (text === null) return null;
    const lines = text.split('\n');
    if (lines.length !== count + 1 || lines[count] !== '') throw damagedLine(path, lines.length - 1);
    return lines.slice(0, count).map((line, index) => decodeLine(line) ?? fail(damagedLine(path, index)));
  }

  async #readText(path: string): Promise<string | null> {
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      if (isCode(error, 'ENOENT')) return null;
      throw error;
    }
  }

  async #names(): Promise<string[]> {
    const names = await readdir(this.folder);
    return names.filter((name) => /^\d{16}\.(entry|chain)$/.test(name)).sort();
  }

  #entryPath = (slot: number): string => join(this.folder, `${String(slot).padStart(SLOT_DIGITS, '0')}.entry`);
  #mergedPath = (slot: number): string => join(this.folder, `${String(slot).padStart(SLOT_DIGITS, '0')}.chain`);
}

function encodeLine(entry: Entry): Buffer {
  const json = JSON.stringify(entry);
  return Buffer.from(`${hexChecksum(json)} ${json}\n`);
}

function decodeLine(line: string): Entry | null {
  const json = line.slice(9);
  return line.slice(0, 9) === `${hexChecksum(json)} ` ? (JSON.parse(json) as Entry) : null;
}

const hexChecksum = (text: string): string => checksum(0, Buffer.from(text)).toString(16).padStart(8, '0');

const lineOf = (text: string, index: number): string => `${text.split('\n')[index]}\n`;

function damagedLine(path: string, line: number): RepulsorError {
  return new RepulsorError('STATE_DAMAGED', `${path}, line ${line + 1}: the entry does not check`, {
    hint: 'Restore the file from a copy: whether this commit exists cannot be known without it.',
  });
}

function fail(error: Error): never {
  throw error;
}
