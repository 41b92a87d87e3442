/** Whether there is an NVIDIA GPU that CUDA 12 can use, as the driver's files say, without loading any of its libraries. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

/** Of CUDA 12's release notes: the oldest driver on Linux that runs every 12.x. */
const OLDEST_DRIVER = '525.60.13';
const SMI_TIMEOUT_MS = 20_000;

/**
 * `gpu`: the names of all that there are. `reason`: there is one that cannot be used, and why. Neither: there is none,
 * or CUDA_VISIBLE_DEVICES hides it.
 * @typedef {{ gpu?: string, driver?: string, reason?: string }} FoundGpu
 */

/** @returns {Promise<FoundGpu>} */
export async function findGpu({ proc = '/proc/driver/nvidia', dev = '/dev', env = process.env } = {}) {
  const visible = env.CUDA_VISIBLE_DEVICES;
  if (visible !== undefined && (visible.trim() === '' || visible.trim().startsWith('-'))) return {};
  const found = fromProc(proc) ?? (await fromSmi(env));
  if (found === undefined) return {};
  if (found.reason !== undefined) return found;
  // A container shows its host's /proc, with or without the GPU.
  if (found.inProc && !existsSync(join(dev, 'nvidiactl'))) {
    return {
      reason: `${found.gpu} is in this machine, but ${join(dev, 'nvidiactl')} is not here (docker: --gpus all)`,
    };
  }
  if (isOlder(found.driver, OLDEST_DRIVER)) {
    return { reason: `the driver of ${found.gpu} is ${found.driver}, and CUDA 12 needs ${OLDEST_DRIVER} or newer` };
  }
  return { gpu: found.gpu, driver: found.driver };
}

/**
 * The kernel module's own files:
 *
 *     version:            NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 ...
 *     gpus/*\/information: Model: <tab> NVIDIA A100-SXM4-40GB
 */
function fromProc(proc) {
  const version = read(join(proc, 'version'));
  if (version === undefined) return undefined;
  const driver = /Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)/.exec(version)?.[1];
  if (driver === undefined) return { reason: `${join(proc, 'version')} names no version of the NVIDIA driver` };
  const gpus = existsSync(join(proc, 'gpus')) ? readdirSync(join(proc, 'gpus')).sort() : [];
  if (gpus.length === 0) return undefined;
  const models = gpus.map((gpu) => /^Model:\s*(.+)$/m.exec(read(join(proc, 'gpus', gpu, 'information')) ?? '')?.[1]);
  return { gpu: models.map((model) => model?.trim() ?? 'an NVIDIA GPU').join(', '), driver, inProc: true };
}

/** Where the kernel has no such files: on WSL, whose driver is that of Windows. */
async function fromSmi(env) {
  const folders = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const program = folders.map((folder) => join(folder, 'nvidia-smi')).find((path) => existsSync(path));
  if (program === undefined) return undefined;
  try {
    const query = ['--query-gpu=name,driver_version', '--format=csv,noheader'];
    const { stdout } = await promisify(execFile)(program, query, { timeout: SMI_TIMEOUT_MS });
    const gpus = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(',').map((cell) => cell.trim()))
      .filter(([name, driver]) => name && /^\d+(\.\d+)+$/.test(driver ?? ''));
    if (gpus.length === 0) return undefined;
    return { gpu: gpus.map(([name]) => name).join(', '), driver: gpus[0][1], inProc: false };
  } catch (error) {
    const words = `${error.stdout ?? ''}${error.stderr ?? ''}`.trim().split('\n')[0] || error.message;
    return { reason: `${program} finds no GPU that works: ${words}` };
  }
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function isOlder(version, than) {
  const [a, b] = [version, than].map((text) => text.split('.').map(Number));
  const at = b.findIndex((part, i) => (a[i] ?? 0) !== part);
  return at >= 0 && (a[at] ?? 0) < b[at];
}
