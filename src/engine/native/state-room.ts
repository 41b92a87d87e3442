import type { HostTensor, TensorSpec } from '../engine.ts';
import { type CApi, DATA_TYPE, type Pointer } from './c-api.ts';
import { dimensions, tensorView } from './tensor-memory.ts';

interface Room extends TensorSpec {
  readonly tensor: Pointer;
}

/** Rooms that no program has taken yet, by their memory. */
const rooms = new WeakMap<ArrayBufferLike, Room>();

/** A room that nobody refers to any more, and no program took, is given back. */
const forgotten = new FinalizationRegistry<() => void>((giveBack) => giveBack());

/** Memory of a TensorFlow tensor, to be filled before a program takes it. Its values are not set. */
export function roomFor(api: CApi, { shape, dtype }: TensorSpec): HostTensor {
  const bytes = shape.reduce((product, size) => product * size, 4);
  const tensor = api.allocateTensor(DATA_TYPE[dtype], dimensions(shape), shape.length, bytes);
  if (tensor === null) throw new Error(`there is no memory for a state tensor [${shape.join(', ')}]`);
  const data = tensorView(api, tensor, dtype);
  rooms.set(data.buffer, { tensor, shape: [...shape], dtype });
  forgotten.register(data.buffer, () => api.deleteTensor(tensor), data.buffer);
  return { shape: [...shape], dtype, data };
}

/** The tensor that the value is the room of: the caller's to delete from here on. Null when it is in other memory. */
export function takeRoom({ shape, dtype, data }: HostTensor): Pointer | null {
  const room = rooms.get(data.buffer);
  const whole = data.byteLength === data.buffer.byteLength;
  if (room === undefined || !whole || room.dtype !== dtype || String(room.shape) !== String(shape)) return null;
  rooms.delete(data.buffer);
  forgotten.unregister(data.buffer);
  return room.tensor;
}
