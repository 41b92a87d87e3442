import type { TensorSpec } from '../engine.ts';
import { DATA_TYPE, type Output } from './c-api.ts';
import { type Graph, type Operation, output } from './graph.ts';

/** A state tensor in the graph: a resource variable, and how to read and to overwrite it. */
export interface Variable {
  readonly handle: Output;
  readonly read: Operation;
  /** What a reader may keep while steps go on: a copy where they write rows into it. */
  readonly value: Output;
  readonly written: Output;
  readonly write: Operation;
}

/** What all traces of a program share. */
export interface ProgramState {
  /** By name. One that a trace writes rows into has another `value` after it. */
  readonly variables: Map<string, Variable>;
  /** uint64 [2]: what the counters of all random streams start from. */
  readonly counter: Output;
}

/** Of these tensors, and the counter beside them. */
export function addState(graph: Graph, specs: Readonly<Record<string, TensorSpec>>): ProgramState {
  const variables = Object.entries(specs).map(
    ([name, { shape, dtype }]) => [name, addVariable(graph, name, shape, DATA_TYPE[dtype])] as const,
  );
  return { variables: new Map(variables), counter: graph.placeholder(DATA_TYPE.uint64, [2]) };
}

function addVariable(graph: Graph, name: string, shape: readonly number[], type: number): Variable {
  const handle = output(
    graph.add('VarHandleOp', [], { dtype: { type }, shape: { shape }, shared_name: { string: name } }),
  );
  const written = graph.placeholder(type, shape);
  const read = graph.add('ReadVariableOp', [handle], { dtype: { type } });
  return {
    handle,
    read,
    value: output(read),
    written,
    write: graph.add('AssignVariableOp', [handle, written], { dtype: { type } }),
  };
}
