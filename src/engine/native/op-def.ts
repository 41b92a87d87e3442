import { decodeMessage } from '../../codec/protobuf.ts';

/** What the graph builder must know of an op: its inputs in order, which of them are lists, and its attributes. */
export interface OpDef {
  readonly inputs: readonly { readonly name: string; readonly countedBy?: string; readonly list: boolean }[];
  readonly attributes: ReadonlySet<string>;
  /** It draws, reads or writes something that is none of its inputs: two runs of it may differ. */
  readonly hasHiddenState: boolean;
}

const text = new TextDecoder();

/** DT_RESOURCE (types.proto): the handle of a state that an op is given to work on. */
const RESOURCE = 20;

/** tensorflow/core/framework/op_def.proto: OpDef { input_arg = 2, attr = 4, is_stateful = 17 }, ArgDef, AttrDef. */
export function decodeOpDef(bytes: Uint8Array): OpDef {
  const inputs: OpDef['inputs'][number][] = [];
  const attributes = new Set<string>();
  let isStateful = false;
  let takesResource = false;
  for (const [field, value] of decodeMessage(bytes)) {
    if (field === 2) {
      inputs.push(decodeArgument(value as Uint8Array));
      takesResource ||= isResource(value as Uint8Array);
    }
    if (field === 17) isStateful = value === 1;
    if (field === 4) attributes.add(decodeName(value as Uint8Array));
  }
  return { inputs, attributes, hasHiddenState: isStateful && !takesResource };
}

/** ArgDef { name = 1, number_attr = 5, type_list_attr = 6 }. */
function decodeArgument(bytes: Uint8Array): OpDef['inputs'][number] {
  let countedBy: string | undefined;
  let typeList = false;
  for (const [field, value] of decodeMessage(bytes)) {
    if (field === 5) countedBy = text.decode(value as Uint8Array);
    if (field === 6) typeList = true;
  }
  const name = decodeName(bytes);
  return countedBy === undefined ? { name, list: typeList } : { name, countedBy, list: true };
}

/** ArgDef { type = 3 }. */
function isResource(bytes: Uint8Array): boolean {
  for (const [field, value] of decodeMessage(bytes)) if (field === 3) return value === RESOURCE;
  return false;
}

function decodeName(bytes: Uint8Array): string {
  for (const [field, value] of decodeMessage(bytes)) if (field === 1) return text.decode(value as Uint8Array);
  return '';
}
