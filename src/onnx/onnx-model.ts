import { RepulsorError } from '../errors.ts';
import { onnxDigest } from './onnx-digest.ts';

/** An input or output of a model, as its file declares it. */
export interface OnnxPort {
  readonly name: string;
  /** float32, float16, int64, ... */
  readonly type: string;
  /** A name where the size is open. */
  readonly shape: readonly (number | string)[];
}

/** float32, row-major. */
export interface OnnxTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A model that a user brought: an ONNX file, run by ONNX Runtime on the CPU. Owned by whoever opened it, who closes it. */
export interface OnnxModel {
  readonly file: string;
  /** Which model it is: `onnxDigest`, 64 hex digits. */
  readonly sha256: string;
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
  /**
   * One run. It computes on the calling thread (and its own helpers beside it): the event loop stands still meanwhile.
   * @throws RepulsorError ENGINE_FAILED with what the runtime said: an input that is missing or misshapen, ...
   */
  run(inputs: Readonly<Record<string, OnnxTensor>>): Promise<Readonly<Record<string, OnnxTensor>>>;
  close(): Promise<void>;
}

/** Errors of a run are thrown: the runtime need not print them as well. */
const ONLY_FATAL = 4;

/**
 * Opens an ONNX file. `threads`: that one operation may use; by default as many as there are cores.
 * @throws RepulsorError ENGINE_UNAVAILABLE without onnxruntime-node, USAGE when the file is no model that it can run
 */
export async function openOnnxModel(file: string, { threads }: { threads?: number } = {}): Promise<OnnxModel> {
  const ort = await loadRuntime();
  const session = await ort.InferenceSession.create(file, {
    executionProviders: ['cpu'],
    logSeverityLevel: ONLY_FATAL,
    ...(threads !== undefined && { intraOpNumThreads: threads }),
  }).catch((cause: Error) => {
    throw new RepulsorError('USAGE', `${file} does not open as an ONNX model: ${cause.message}`, {
      hint: 'name an .onnx file, with the files of its weights beside it where it has such',
      cause,
    });
  });
  const sha256 = await onnxDigest(file);
  return {
    file,
    sha256,
    inputs: session.inputMetadata.map(asPort),
    outputs: session.outputMetadata.map(asPort),
    async run(inputs) {
      const feeds = Object.entries(inputs).map(
        ([name, { shape, data }]) => [name, new ort.Tensor('float32', data, shape)] as const,
      );
      const results = await session.run(Object.fromEntries(feeds)).catch((cause: Error) => {
        throw new RepulsorError('ENGINE_FAILED', `the model ${file} failed: ${cause.message}`, {
          hint: 'check that what it is given has the shape it was exported for',
          cause,
        });
      });
      return Object.fromEntries(
        Object.entries(results).map(([name, { dims, data, type }]) => {
          if (!(data instanceof Float32Array)) throw notFloat(file, name, type);
          return [name, { shape: dims, data }] as const;
        }),
      );
    },
    close: () => session.release(),
  };
}

type PortMetadata = { readonly name: string } & (
  | { readonly isTensor: false }
  | { readonly isTensor: true; readonly type: string; readonly shape: readonly (number | string)[] }
);

const asPort = (port: PortMetadata): OnnxPort =>
  port.isTensor
    ? { name: port.name, type: port.type, shape: port.shape }
    : { name: port.name, type: 'no tensor', shape: [] };

/** A port as messages name it: `sample float32 [batch, 3, height, width]`. */
export const describePort = ({ name, type, shape }: OnnxPort): string => `${name} ${type} [${shape.join(', ')}]`;

async function loadRuntime() {
  try {
    return await import('onnxruntime-node');
  } catch (cause) {
    throw new RepulsorError('ENGINE_UNAVAILABLE', `ONNX Runtime does not load: ${(cause as Error).message}`, {
      hint: 'it is an optional dependency: npm install onnxruntime-node',
      cause,
    });
  }
}

function notFloat(file: string, name: string, type: string): RepulsorError {
  return new RepulsorError('ENGINE_FAILED', `the model ${file} gives ${name} as ${type}, not as float32`, {
    hint: 'export it in float32',
  });
}
