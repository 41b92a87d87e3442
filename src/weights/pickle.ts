import { badWeights } from './bad-weights.ts';

/**
 * Reads a pickle as data, and runs nothing: a pickle is a program for a stack machine (Python's pickletools describes it),
 * which may call whatever it names. Here it can only build plain values and call the few functions it is given; whatever
 * else it names is refused by that name.
 */
export interface PickleWorld {
  /** By "module name". They get the arguments of the call. */
  readonly globals: ReadonlyMap<string, PickleFunction>;
  /** What stands outside of the pickle, by its id: the bytes of tensors. */
  readonly persistent: (id: unknown) => unknown;
}

export type PickleFunction = (...args: readonly unknown[]) => unknown;

/** A global, not called yet. */
export class Global {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** The stack below which a list, a tuple or a dict begins. */
const MARK = Symbol('mark');

/**
 * The pickle's value: numbers, text, booleans, null, arrays (lists and tuples), Maps (dicts), and what `world` makes.
 * @throws RepulsorError BAD_RECORD naming the global, the opcode, or what is damaged
 */
export function readPickle(bytes: Uint8Array, world: PickleWorld, where: string): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stack: unknown[] = [];
  const memo = new Map<number, unknown>();
  let at = 0;

  const refuse = (what: string) =>
    badWeights(where, `its pickle ${what}`, 'save the weights alone: torch.save(model.state_dict(), FILE)');
  const need = (count: number): number => {
    if (at + count > bytes.length) throw refuse('ends too early');
    at += count;
    return at - count;
  };
  const u8 = () => view.getUint8(need(1));
  const u32 = () => view.getUint32(need(4), true);
  const text = (length: number) => {
    const from = need(length);
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(from, from + length));
  };
  const line = () => {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) throw refuse('ends inside a line');
    const found = new TextDecoder().decode(bytes.subarray(at, end));
    at = end + 1;
    return found;
  };
  const pop = (): unknown => {
    if (stack.length === 0 || stack.at(-1) === MARK) throw refuse('takes from an empty stack');
    return stack.pop();
  };
  const top = (): unknown => {
    const value = pop();
    stack.push(value);
    return value;
  };
  const toMark = (): unknown[] => {
    const from = stack.lastIndexOf(MARK);
    if (from < 0) throw refuse('has no mark where it needs one');
    return stack.splice(from).slice(1);
  };
  const global = (module: unknown, name: unknown) => {
    const full = `${module} ${name}`;
    if (!world.globals.has(full))
      throw refuse(`names ${module}.${name}, which is not read: it is not part of a tensor`);
    stack.push(new Global(full));
  };
  const call = () => {
    const args = pop();
    const callee = pop();
    if (!(callee instanceof Global) || !Array.isArray(args)) throw refuse('calls what is no function');
    stack.push(world.globals.get(callee.name)!(...args));
  };
  const setItems = (items: readonly unknown[]) => {
    const dict = top();
    if (!(dict instanceof Map) || items.length % 2 !== 0) throw refuse('sets items of what is no dict');
    for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
  };
  const append = (items: readonly unknown[]) => {
    const list = top();
    if (!Array.isArray(list)) throw refuse('appends to what is no list');
    for (const item of items) list.push(item);
  };
  const recall = (index: number) => {
    if (!memo.has(index)) throw refuse(`remembers what it never kept (${index})`);
    stack.push(memo.get(index));
  };
  const tuple = (count: number) => {
    const items = Array.from({ length: count }, pop).reverse();
    stack.push(items);
  };
  /** Little-endian two's complement. */
  const long = (length: number) => {
    let value = 0n;
    for (let i = 0; i < length; i++) value |= BigInt(u8()) << BigInt(8 * i);
    const signed = length > 0 ? BigInt.asIntN(8 * length, value) : 0n;
    stack.push(Number.isSafeInteger(Number(signed)) ? Number(signed) : signed);
  };

  const OPCODES: Record<string, () => void> = {
    '\x80': () => {
      const protocol = u8();
      if (protocol > 5) throw refuse(`has protocol ${protocol}, which is not known`);
    },
    '\x95': () => void need(8), // FRAME
    '(': () => void stack.push(MARK),
    '}': () => void stack.push(new Map()),
    ']': () => void stack.push([]),
    ')': () => void stack.push([]),
    t: () => void stack.push(toMark()),
    '\x85': () => tuple(1),
    '\x86': () => tuple(2),
    '\x87': () => tuple(3),
    a: () => append([pop()]),
    e: () => append(toMark()),
    s: () => setItems([pop(), pop()].reverse()),
    u: () => setItems(toMark()),
    N: () => void stack.push(null),
    '\x88': () => void stack.push(true),
    '\x89': () => void stack.push(false),
    J: () => void stack.push(view.getInt32(need(4), true)),
    K: () => void stack.push(u8()),
    M: () => void stack.push(view.getUint16(need(2), true)),
    '\x8a': () => long(u8()),
    G: () => void stack.push(view.getFloat64(need(8), false)),
    X: () => void stack.push(text(u32())),
    '\x8c': () => void stack.push(text(u8())),
    c: () => global(line(), line()),
    '\x93': () => {
      const name = pop();
      global(pop(), name);
    },
    R: call,
    '\x81': call, // NEWOBJ: for what is allowed, making is calling
    b: () => {
      // BUILD gives an object its attributes. Of what is allowed none has attributes that matter.
      pop();
      top();
    },
    Q: () => void stack.push(world.persistent(pop())),
    q: () => void memo.set(u8(), top()),
    r: () => void memo.set(u32(), top()),
    '\x94': () => void memo.set(memo.size, top()),
    h: () => recall(u8()),
    j: () => recall(u32()),
  };
  for (;;) {
    const opcode = String.fromCharCode(u8());
    if (opcode === '.') break;
    const run = Object.hasOwn(OPCODES, opcode) ? OPCODES[opcode] : undefined;
    if (run === undefined)
      throw refuse(`has opcode 0x${opcode.charCodeAt(0).toString(16)} at byte ${at - 1}, which is not read`);
    run();
  }
  const value = pop();
  if (stack.length > 0) throw refuse('leaves more than one value');
  return value;
}
