import type { CApi, Pointer } from '../../src/engine/native/c-api.ts';

/** Kinds of native objects, by the functions of the C API that make and delete them. */
const KINDS = {
  tensor: { makes: ['allocateTensor'], deletes: 'deleteTensor' },
  graph: { makes: ['newGraph'], deletes: 'deleteGraph' },
  session: { makes: ['newSession'], deletes: 'deleteSession' },
  status: { makes: ['newStatus'], deletes: 'deleteStatus' },
  buffer: { makes: ['newBuffer', 'newBufferFromString'], deletes: 'deleteBuffer' },
  devices: { makes: ['sessionListDevices'], deletes: 'deleteDeviceList' },
  options: { makes: ['newSessionOptions'], deletes: 'deleteSessionOptions' },
  // Consumed, whether or not it comes to an operation.
  description: { makes: ['newOperation'], deletes: 'finishOperation' },
} as const;

type Kind = keyof typeof KINDS;

/**
 * TensorFlow's C API that keeps count: every native object made, by kind, until it is deleted. Deleting what is not there
 * is an error, so each has one owner.
 */
export function counting(api: CApi): {
  readonly api: CApi;
  alive(): Record<Kind, number>;
  made(): Record<Kind, number>;
} {
  const alive = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, new Set<Pointer>()])) as Record<
    Kind,
    Set<Pointer>
  >;
  const made = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, 0])) as Record<Kind, number>;
  const add = (kind: Kind, pointer: Pointer | null) => {
    if (pointer === null || pointer === 0n) return;
    alive[kind].add(pointer);
    made[kind]++;
  };
  // biome-ignore lint/suspicious/noExplicitAny: functions of all signatures are wrapped alike
  const counted: Record<string, any> = { ...api };
  for (const [kind, { makes, deletes }] of Object.entries(KINDS) as [Kind, (typeof KINDS)[Kind]][]) {
    for (const name of makes) {
      const make = counted[name];
      if (make === undefined) continue;
      counted[name] = (...args: unknown[]) => {
        const pointer = make(...args);
        add(kind, pointer);
        return pointer;
      };
    }
    const remove = counted[deletes];
    counted[deletes] = (pointer: Pointer, ...rest: unknown[]) => {
      if (!alive[kind].delete(pointer)) throw new Error(`${deletes} of a ${kind} that is not there`);
      return remove(pointer, ...rest);
    };
  }
  // What a run fetches is written by native code into an array that it is given by its address.
  const arrays = new Map<Pointer, WeakRef<Uint8Array | BigUint64Array>>();
  counted['address'] = (array: Uint8Array | BigUint64Array) => {
    const address = api.address(array);
    arrays.set(address, new WeakRef(array));
    return address;
  };
  const run = api.sessionRun.async;
  counted['sessionRun'] = {
    async: (...args: unknown[]) => {
      const results = arrays.get(args[6] as Pointer)?.deref() as BigUint64Array;
      const done = args.at(-1) as (error: unknown) => void;
      arrays.clear();
      return run(...args.slice(0, -1), (error: unknown) => {
        for (const tensor of results) add('tensor', tensor);
        done(error);
      });
    },
  };
  return {
    api: counted as CApi,
    alive: () =>
      Object.fromEntries(Object.entries(alive).map(([kind, set]) => [kind, set.size])) as Record<Kind, number>,
    made: () => ({ ...made }),
  };
}
