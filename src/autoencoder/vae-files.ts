import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RepulsorError } from '../errors.ts';

/** The files of an autoencoder, and what its own configuration says to multiply latents by. */
export interface VaeFiles {
  readonly encoder: string | null;
  readonly decoder: string | null;
  readonly scale: number | null;
}

/** The layout that diffusers and optimum export a pipeline in. */
const ENCODER = ['vae_encoder', 'model.onnx'] as const;
const DECODER = ['vae_decoder', 'model.onnx'] as const;
const CONFIGS = ['vae_encoder/config.json', 'vae_decoder/config.json', 'vae/config.json', 'config.json'];

/**
 * The halves of the autoencoder that a folder holds, as diffusers and optimum export one: vae_encoder/model.onnx,
 * vae_decoder/model.onnx, and a config.json with its scaling_factor. Null for what is not there; null altogether for a
 * file, which is one half: its user knows which.
 * @throws RepulsorError USAGE when nothing lies there; CONFIG when the configuration asks for what is not done here
 */
export async function vaeFolder(path: string): Promise<VaeFiles | null> {
  const found = await stat(path).catch((cause: Error) => {
    throw new RepulsorError('USAGE', `${path} cannot be read: ${cause.message}`, {
      hint: 'name an .onnx file, or a folder with vae_encoder/model.onnx and vae_decoder/model.onnx',
      cause,
    });
  });
  if (!found.isDirectory()) return null;
  const there = async (parts: readonly string[]) => {
    const file = join(path, ...parts);
    return (await stat(file).catch(() => null))?.isFile() ? file : null;
  };
  return { encoder: await there(ENCODER), decoder: await there(DECODER), scale: await configuredScale(path) };
}

async function configuredScale(folder: string): Promise<number | null> {
  for (const name of CONFIGS) {
    const text = await readFile(join(folder, name), 'utf8').catch(() => null);
    if (text === null) continue;
    const { scaling_factor: scale, shift_factor: shift } = parsed(text, join(folder, name));
    if (typeof shift === 'number' && shift !== 0)
      throw new RepulsorError(
        'CONFIG',
        `${join(folder, name)} has a shift_factor of ${shift}: latents are not shifted here`,
        {
          hint: 'take an autoencoder without a shift, such as stabilityai/sd-vae-ft-ema',
        },
      );
    if (typeof scale === 'number' && scale > 0) return scale;
  }
  return null;
}

function parsed(text: string, file: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch (cause) {
    throw new RepulsorError('CONFIG', `${file} is not JSON: ${(cause as Error).message}`, {
      hint: 'export the autoencoder again, or give the file of the encoder itself, and --scale',
      cause,
    });
  }
}
