import { decodeElements } from '../checkpoint/safetensors.ts';
import { decodeHeader, decodeHeaderLength } from '../checkpoint/safetensors-header.ts';
import { badWeights } from './bad-weights.ts';
import { openRandomAccess, type RandomAccess } from './random-access.ts';
import { readTorchCheckpoint, TorchTensor } from './torch-checkpoint.ts';
import type { NamedWeights, WeightsFile } from './weights-file.ts';
import { isZip } from './zip-directory.ts';

/**
 * Opens a PyTorch checkpoint (.pt) or a safetensors file, whichever it is by its first bytes. Tensors lie in it plain, or as
 * `model` and `ema` (in a .pt as dicts, in safetensors as prefixes). Only what is read later is held in memory.
 * @throws RepulsorError USAGE when there is no such file, BAD_RECORD when it is no such file of weights
 */
export async function openWeights(path: string): Promise<WeightsFile> {
  const file = await openRandomAccess(path);
  try {
    const first = await file.read(0, Math.min(8, file.bytes));
    if (first.length < 8) throw notWeights(path);
    const groups = isZip(first) ? await torchGroups(file) : await safetensorsGroups(file, first);
    const model = groups.get('model') ?? groups.get('ema') ?? groups.get('')!;
    return { path, model, ema: groups.get('ema') ?? model, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function torchGroups(file: RandomAccess): Promise<Map<string, NamedWeights>> {
  const { root, named } = await readTorchCheckpoint(file);
  if (!(root instanceof Map)) throw badWeights(file.path, 'it holds no dict of tensors', 'save model.state_dict()');
  const inside = ['model', 'ema'].filter((name) => root.get(name) instanceof Map);
  if (inside.length > 0) return new Map(inside.map((name) => [name, named(root.get(name))]));
  const strange = [...root].find(([, value]) => !(value instanceof TorchTensor));
  if (strange !== undefined)
    throw badWeights(
      file.path,
      `what it calls ${String(strange[0])} is no tensor`,
      'save model.state_dict(), or {"ema": ...}',
    );
  return new Map([['', named(root)]]);
}

async function safetensorsGroups(file: RandomAccess, first8: Uint8Array): Promise<Map<string, NamedWeights>> {
  // PyTorch before 1.6, or torch.save(..., _use_new_zipfile_serialization=False): a bare pickle.
  if (first8[0] === 0x80)
    throw badWeights(file.path, 'it is a PyTorch file of the form before 1.6', 'save it anew with torch.save');
  if (new DataView(first8.buffer).getBigUint64(0, true) > BigInt(file.bytes)) throw notWeights(file.path);
  const headerBytes = decodeHeaderLength(first8, file.bytes, file.path);
  const header = decodeHeader(await file.read(8, headerBytes), file.bytes - 8 - headerBytes, file.path);
  const groups = new Map<string, Map<string, ReturnType<typeof lazily>>>();
  const prefixed = header.tensors.some(({ name }) => /^(model|ema)\./.test(name));
  for (const entry of header.tensors) {
    const [, group = '', name = entry.name] = (prefixed && /^(model|ema)\.(.*)$/.exec(entry.name)) || [];
    if (!groups.has(group)) groups.set(group, new Map());
    groups.get(group)!.set(name, lazily(entry));
  }
  if (prefixed) groups.delete('');
  if (groups.size === 0) throw badWeights(file.path, 'it holds no tensors', 'name a file of weights');
  return groups;

  function lazily({ name, dtype, shape, begin, end }: (typeof header.tensors)[number]) {
    return {
      shape,
      dtype,
      async read() {
        const data = decodeElements(dtype, (await file.read(8 + headerBytes + begin, end - begin)).buffer);
        if (data instanceof Float32Array) return data;
        throw badWeights(file.path, `${name} is ${dtype}, and no weight`, 'weights are F32, F16 or BF16');
      },
    };
  }
}

function notWeights(path: string) {
  return badWeights(
    path,
    'it is neither a PyTorch checkpoint nor a safetensors file',
    'give a .pt that torch.save wrote, or a .safetensors',
  );
}
