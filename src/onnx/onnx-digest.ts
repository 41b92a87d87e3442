import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { decodeMessage } from '../codec/protobuf.ts';

/**
 * Which model an ONNX file holds: the SHA-256 of the file, as `sha256sum` gives it. Where weights lie in files beside it,
 * of the file and of each of these, one after another, in the order of their names (by code unit).
 */
export async function onnxDigest(file: string): Promise<string> {
  const bytes = await readFile(file);
  const hash = createHash('sha256').update(bytes);
  for (const beside of externalFiles(bytes)) {
    for await (const chunk of createReadStream(join(dirname(file), beside))) hash.update(chunk as Buffer);
  }
  return hash.digest('hex');
}

const text = new TextDecoder();

/** Fields of onnx.proto, version 1.17: where tensors may stand, and what a tensor says of its data. */
const MODEL_GRAPH = 7;
const GRAPH_NODE = 1;
const GRAPH_INITIALIZER = 5;
const NODE_ATTRIBUTE = 5;
const ATTRIBUTE_TENSOR = 5;
const ATTRIBUTE_GRAPH = 6;
const TENSOR_EXTERNAL_DATA = 13;
const ENTRY_KEY = 1;
const ENTRY_VALUE = 2;

/** Names of the files beside the model that its tensors lie in, sorted, each once. */
function externalFiles(model: Uint8Array): string[] {
  const found = new Set<string>();
  for (const graph of messages(model, MODEL_GRAPH)) visitGraph(graph, found);
  return [...found].sort();
}

function visitGraph(graph: Uint8Array, found: Set<string>): void {
  for (const tensor of messages(graph, GRAPH_INITIALIZER)) visitTensor(tensor, found);
  for (const node of messages(graph, GRAPH_NODE)) {
    for (const attribute of messages(node, NODE_ATTRIBUTE)) {
      for (const tensor of messages(attribute, ATTRIBUTE_TENSOR)) visitTensor(tensor, found);
      for (const inner of messages(attribute, ATTRIBUTE_GRAPH)) visitGraph(inner, found);
    }
  }
}

function visitTensor(tensor: Uint8Array, found: Set<string>): void {
  for (const entry of messages(tensor, TENSOR_EXTERNAL_DATA)) {
    const fields = new Map(
      [...decodeMessage(entry)].map(([field, value]) => [field, text.decode(value as Uint8Array)]),
    );
    if (fields.get(ENTRY_KEY) === 'location') found.add(fields.get(ENTRY_VALUE)!);
  }
}

function* messages(bytes: Uint8Array, wanted: number): Generator<Uint8Array> {
  for (const [field, value] of decodeMessage(bytes)) if (field === wanted && typeof value !== 'number') yield value;
}
