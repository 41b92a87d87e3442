import { Tensor } from '@tensorflow/tfjs-core';
import { RepulsorError } from '../errors.ts';
import { failureSite } from './call-site.ts';
import type {
  DType,
  HostTensors,
  InputSpec,
  InputValue,
  ProgramDefinition,
  ProgramFunction,
  TensorSpec,
} from './engine.ts';
import { concrete, isTensor, sizesOf } from './input-shapes.ts';

/** What every engine checks the same way, so that a mistake reads the same wherever it is made. */

/** A definition without its initial values, which may be gigabytes: what a program keeps of it. */
export type ProgramSignature = Omit<ProgramDefinition, 'state'> & {
  readonly state: Readonly<Record<string, TensorSpec>>;
};

export function signatureOf(definition: ProgramDefinition): ProgramSignature {
  const specs = Object.entries(definition.state).map(([name, { shape, dtype }]) => [name, { shape, dtype }] as const);
  return { ...definition, state: Object.fromEntries(specs) };
}

const elements = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

const describe = (spec: InputSpec): string => `${spec.dtype} [${spec.shape.join(', ')}]`;

function refuse(program: string, what: string, hint: string): never {
  throw new RepulsorError('ENGINE_FAILED', `program "${program}": ${what}`, { hint });
}

function checkData(program: string, what: string, spec: TensorSpec, data: unknown, isBytes = false): void {
  const type = isBytes ? Uint8Array : spec.dtype === 'float32' ? Float32Array : Int32Array;
  const hint = `pass ${describe(spec)} as a ${type.name} of ${elements(spec.shape)} elements, row-major`;
  if (!(data instanceof type)) {
    const got = data === undefined ? 'is missing' : `is a ${(data as object)?.constructor?.name ?? data}`;
    refuse(program, `${what} ${got}, not a ${type.name}`, hint);
  }
  if (data.length !== elements(spec.shape)) {
    refuse(program, `${what} has ${data.length} elements, not the ${elements(spec.shape)} of ${describe(spec)}`, hint);
  }
}

/** What a run is fed: each input's numbers, and its shape with nothing left open. */
export interface Fed {
  readonly specs: Readonly<Record<string, TensorSpec>>;
  readonly data: Readonly<Record<string, Float32Array | Int32Array | Uint8Array>>;
}

/** @throws RepulsorError ENGINE_FAILED naming the input that is missing, unknown, or of the wrong type or size. */
export function checkInputs(definition: ProgramSignature, inputs: Readonly<Record<string, InputValue>>): Fed {
  const sizes = sizesOf(definition.inputs, inputs);
  const specs: Record<string, TensorSpec> = {};
  const data: Record<string, Float32Array | Int32Array | Uint8Array> = {};
  for (const [name, open] of Object.entries(definition.inputs)) {
    const [what, value] = [`input "${name}"`, inputs[name]];
    const found = concrete(open, sizes);
    if (isTensor(value)) checkShape(definition.name, what, found ?? open, value);
    const spec = found ?? refuseOpen(definition.name, what, open, value);
    const numbers = isTensor(value) ? value.data : value;
    const isBytes = numbers instanceof Uint8Array && open.ofBytes !== undefined;
    checkData(definition.name, what, spec, numbers, isBytes);
    data[name] = numbers!;
    specs[name] = spec;
  }
  for (const name of Object.keys(inputs)) {
    if (!Object.hasOwn(definition.inputs, name)) {
      refuse(
        definition.name,
        `there is no input "${name}"`,
        `its inputs: ${Object.keys(definition.inputs).join(', ')}`,
      );
    }
  }
  return { specs, data };
}

function checkShape(program: string, what: string, spec: InputSpec, value: TensorSpec): void {
  if (value.dtype === spec.dtype && String(value.shape) === String(spec.shape)) return;
  refuse(
    program,
    `${what} is ${describe(spec)}, and ${describe(value)} does not fit`,
    'sizes of one name are the same in all inputs of a run',
  );
}

function refuseOpen(program: string, what: string, spec: InputSpec, value: unknown): never {
  const { length } = (value ?? {}) as { length?: number };
  const got = value === undefined ? 'is missing' : `of ${length ?? '?'} numbers has no shape`;
  return refuse(
    program,
    `${what} ${got}: it is ${describe(spec)}`,
    'give as many numbers as whole rows have; where several sizes are open, give { shape, dtype, data }',
  );
}

/** What an input's `ofBytes` made of bytes. @throws RepulsorError ENGINE_FAILED when it is not the input's shape and dtype */
export function checkOfBytes(definition: ProgramSignature, name: string, spec: TensorSpec, made: Tensor): Tensor {
  if (made.dtype === spec.dtype && String(made.shape) === String(spec.shape)) return made;
  const got = `${made.dtype} [${made.shape.join(', ')}]`;
  return refuse(
    definition.name,
    `input "${name}" is ${describe(spec)}, but its ofBytes made ${got} of bytes`,
    'make an element of each byte, of the dtype of the input',
  );
}

/** @throws RepulsorError ENGINE_FAILED when a step is none, or its number could not be told apart from another's. */
export function checkStep(definition: ProgramSignature, step: number): void {
  if (!Number.isSafeInteger(step) || step < 0) {
    refuse(definition.name, `step ${step} is not a safe integer >= 0`, 'count the steps from 0');
  }
}

/** @throws RepulsorError ENGINE_FAILED when a name is not part of the state. */
export function checkStateNames(definition: ProgramSignature, names: readonly string[]): void {
  for (const name of names) {
    if (!Object.hasOwn(definition.state, name)) {
      refuse(definition.name, `there is no state "${name}"`, `its state: ${Object.keys(definition.state).join(', ')}`);
    }
  }
}

/** @throws RepulsorError ENGINE_FAILED when a name, shape or dtype is not that of the state. */
export function checkStateValues(definition: ProgramSignature, values: HostTensors): void {
  checkStateNames(definition, Object.keys(values));
  for (const [name, value] of Object.entries(values)) {
    const spec = definition.state[name]!;
    if (value.dtype !== spec.dtype || String(value.shape) !== String(spec.shape)) {
      refuse(
        definition.name,
        `state "${name}" is ${describe(spec)}, and ${describe(value)} does not fit`,
        'a state tensor keeps its shape and dtype for life: compile the program again with the new ones',
      );
    }
    checkData(definition.name, `state "${name}"`, spec, value.data);
  }
}

/** @throws RepulsorError ENGINE_FAILED when the definition contradicts itself. */
export function checkDefinition(definition: ProgramDefinition): void {
  if (!Number.isSafeInteger(definition.seed)) {
    refuse(definition.name, `the seed ${definition.seed} is not a safe integer`, 'choose a whole number');
  }
  checkStateValues(definition, definition.state);
}

/** dtype of a tensor as it leaves an engine: booleans leave as int32 (0 or 1). */
export function hostDType(definition: ProgramSignature, what: string, tensor: Tensor): DType {
  if (tensor.dtype === 'float32' || tensor.dtype === 'int32') return tensor.dtype;
  if (tensor.dtype === 'bool') return 'int32';
  return refuse(definition.name, `${what} is ${tensor.dtype}`, 'return float32, int32 or bool tensors');
}

/** @throws RepulsorError ENGINE_FAILED naming the tensor that the function returned and should not have. */
export function checkResult(definition: ProgramSignature, result: ReturnType<ProgramFunction>): void {
  refuseOther(definition.name, 'its function', result, (value) => (value as { outputs?: unknown })?.outputs);
  for (const [kind, tensors] of Object.entries({ state: result.state ?? {}, output: result.outputs }))
    for (const [name, value] of Object.entries(tensors))
      refuseOther(definition.name, `${kind} "${name}"`, value, (given) => given instanceof Tensor);
  checkStateNames(definition, Object.keys(result.state ?? {}));
  for (const [name, tensor] of Object.entries(result.state ?? {})) {
    const spec = definition.state[name]!;
    if (tensor.dtype !== spec.dtype || String(tensor.shape) !== String(spec.shape)) {
      const got = `${tensor.dtype} [${tensor.shape.join(', ')}]`;
      refuse(
        definition.name,
        `state "${name}" is ${describe(spec)}, but its function returned ${got}`,
        'return the same shape and dtype',
      );
    }
  }
  for (const [name, tensor] of Object.entries(result.outputs)) hostDType(definition, `output "${name}"`, tensor);
}

/** Of what is asynchronous, and of what is not as it should be. */
function refuseOther(program: string, what: string, value: unknown, isRight: (value: unknown) => unknown): void {
  if (value instanceof Promise) {
    value.catch(() => {}); // Of no interest any more; unheard, it would end the process.
    refuse(program, `${what} is asynchronous`, 'build the tensors synchronously: nothing can be awaited in a program');
  }
  if (!isRight(value)) refuse(program, `${what} gave ${value}`, 'return { state, outputs }, each of tensors by name');
}

/** What tfjs's engine says where a tensor is gone: its data have no backend any more. */
const DISPOSED = "Cannot read properties of undefined (reading 'backend')";

const LIBRARY_HINT = 'the message above is from the library underneath: it names the operation at fault';

/** What a run or a compilation threw, as an error that names the code at fault: `site`, or where it was thrown. */
export function engineFailure(
  definition: ProgramSignature,
  doing: string,
  cause: unknown,
  site = failureSite(cause),
): RepulsorError {
  if (cause instanceof RepulsorError && cause.message.startsWith(`program "${definition.name}"`)) return cause;
  const said = cause instanceof Error ? cause.message : String(cause);
  const message = said === DISPOSED ? 'a tensor was used that is disposed already (dispose, tidy)' : said;
  const where = site === null ? doing : `${doing} (${site})`;
  const [code, hint] =
    cause instanceof RepulsorError ? [cause.code, cause.hint] : ['ENGINE_FAILED' as const, LIBRARY_HINT];
  return new RepulsorError(code, `program "${definition.name}", ${where}: ${message}`, { hint, cause });
}
