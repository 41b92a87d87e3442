import type { BlobContent } from '../checkpoint/store.ts';
import type { HostTensor } from '../engine/engine.ts';
import { type StoredEntry, zipArchive } from './zip-writer.ts';

/** Tensors by name, or dicts of them. */
export type StateDict = { readonly [name: string]: HostTensor | StateDict };

/**
 * A PyTorch checkpoint (src/weights/torch-checkpoint.ts has its form) that torch.load reads with weights_only=True: dicts of
 * contiguous float32 tensors, each with a storage of its own. The same tensors give the same bytes.
 */
export function torchCheckpoint(state: StateDict): BlobContent {
  const storages: Uint8Array[] = [];
  const pickle: Uint8Array[] = [Uint8Array.of(0x80, 2)];
  put(state);
  pickle.push(op('.'));
  const entries: StoredEntry[] = [
    { name: 'archive/data.pkl', data: Buffer.concat(pickle) },
    { name: 'archive/byteorder', data: Buffer.from('little') },
    ...storages.map((data, key) => ({ name: `archive/data/${key}`, data })),
    { name: 'archive/version', data: Buffer.from('3\n') },
  ];
  return zipArchive(entries);

  function put(value: HostTensor | StateDict): void {
    if (isTensor(value)) {
      putTensor(value);
      return;
    }
    pickle.push(op('}('));
    for (const [name, item] of Object.entries(value)) {
      pickle.push(text(name));
      put(item);
    }
    pickle.push(op('u'));
  }

  function putTensor({ shape, data }: HostTensor): void {
    const key = String(storages.length);
    storages.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    const stride = shape.map((_, i) => shape.slice(i + 1).reduce((product, n) => product * n, 1));
    pickle.push(
      ...[op('ctorch._utils\n_rebuild_tensor_v2\n((')],
      // The storage, by its id.
      ...[text('storage'), op('ctorch\nFloatStorage\n'), text(key), text('cpu'), int(data.length), op('tQ')],
      ...[int(0), op('('), ...shape.map(int), op('t('), ...stride.map(int), op('t')],
      ...[op('\x89'), op('ccollections\nOrderedDict\n)R'), op('tR')],
    );
  }
}

function isTensor(value: HostTensor | StateDict): value is HostTensor {
  return ArrayBuffer.isView((value as HostTensor).data);
}

function op(codes: string): Uint8Array {
  return Buffer.from(codes, 'latin1');
}

/** BINUNICODE. */
function text(value: string): Uint8Array {
  const bytes = Buffer.from(value, 'utf8');
  const head = Buffer.alloc(5);
  head.write('X', 'latin1');
  head.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** BININT; a tensor of two thousand million elements or more has no place in one storage here. */
function int(value: number): Uint8Array {
  const bytes = Buffer.alloc(5);
  bytes.write('J', 'latin1');
  bytes.writeInt32LE(value, 1);
  return bytes;
}
