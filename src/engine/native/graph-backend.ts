import { createRequire } from 'node:module';
import nodeUtil from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { silenceCpuBackend } from '../cpu-backend.ts';
import { FUSED, type FusedAttributes, fused } from '../fused.ts';
import { MATERIALIZE } from '../materialize.ts';
import { onBackend } from '../on-backend.ts';
import { PRODUCT, type ProductAttributes } from '../product.ts';
import { addKernels } from './added-kernels.ts';
import { cast, NarrowOperands } from './bfloat16.ts';
import { DATA_TYPE, type Output } from './c-api.ts';
import { type Graph, output } from './graph.ts';
import { replaceKernels } from './kernels.ts';
import { LazyBinding, type TensorMetadata } from './lazy-binding.ts';
import type { OpSites } from './op-sites.ts';
import { padConvolutions } from './padded-convolutions.ts';
import { addProduct } from './product-ops.ts';
import { canSelectRows, selectRows } from './selected-rows.ts';
import type { StatesInPlace } from './states-in-place.ts';

/** tfjs-node's kernels look their backend up by this name: no other will do. */
const BACKEND = 'tensorflow';

/**
 * Functions of fewer elements are not compiled: the compiler takes 0.1 to 0.3 s for each, and a call of a compiled function
 * some microseconds more than a few small ops.
 */
const FUSED_ELEMENTS = 32_768;

/** The part of tfjs-node's NodeJSKernelBackend (nodejs_kernel_backend.ts) used here. */
export interface NodeKernelBackend extends tf.KernelBackend {
  createOutputTensor(metadata: TensorMetadata): tf.Tensor;
  getInputTensorIds(tensors: readonly tf.Tensor[]): number[];
  executeSingleOutput(name: string, attributes: object[], inputs: readonly tf.TensorInfo[]): tf.Tensor;
  executeMultipleOutputs(
    name: string,
    attributes: object[],
    inputs: readonly tf.TensorInfo[],
    outputs: number,
  ): tf.Tensor[];
}

/** tfjs's kernels on a graph: tensors are outputs of operations that have not run yet. One a process, as in tfjs. */
export class GraphBackend {
  readonly #binding: LazyBinding;
  readonly #backend: NodeKernelBackend;

  private constructor(binding: LazyBinding, backend: NodeKernelBackend) {
    this.#binding = binding;
    this.#backend = backend;
  }

  static #instance: GraphBackend | undefined;

  static get(): GraphBackend {
    GraphBackend.#instance ??= GraphBackend.#load();
    return GraphBackend.#instance;
  }

  /**
   * Calls `work` as the traced function of one program: its ops go into `graph`, its tensors are disposed after it. Functions in
   * it may update `states`, if there are any to update.
   * @throws what `work` throws, and RepulsorError when it read a value that does not exist yet, whatever it made of that
   */
  trace(graph: Graph, sites: OpSites, states: StatesInPlace | null, work: () => void): void {
    graph.states = states;
    try {
      this.#binding.trace(graph, sites, () => onBackend(BACKEND, () => sites.during(() => tf.tidy(work))));
    } finally {
      graph.states = null;
    }
  }

  /** Calls `work`, whose ops go into `body`: a function of the graph that is being traced. */
  within<T>(body: Graph, work: () => T): T {
    return this.#binding.within(body, work);
  }

  /** A tensor for an output of the graph that is being traced. */
  tensor(at: Output, name: string, shape: readonly number[], type: number): tf.Tensor {
    return this.#backend.createOutputTensor(this.#binding.register(at, name, [...shape], type));
  }

  /** The output of the graph behind a tensor of the traced function. */
  outputOf(tensor: tf.Tensor): Output {
    return this.#binding.outputOf(this.#backend.getInputTensorIds([tensor])[0]!);
  }

  /** A call of `fn`, as a function of the current graph: traced once for inputs of the same shapes. */
  #fused(inputs: readonly tf.Tensor[], attributes: FusedAttributes): tf.Tensor[] {
    const binding = this.#binding;
    const { graph } = binding;
    const { name, fn, forProducts, states } = attributes;
    if (graph.isBody || inputs.reduce((sum, { size }) => sum + size, 0) < FUSED_ELEMENTS) return fn(...inputs);
    const updated = states === 0 ? null : this.#updated(inputs, attributes);
    if (updated !== null) return updated;
    const given = inputs.map((input) => {
      const at = this.outputOf(input);
      const narrow = graph.bfloat16?.exactly(at);
      const type = narrow === undefined ? DATA_TYPE[input.dtype as 'float32'] : DATA_TYPE.bfloat16;
      return { at: narrow ?? at, shape: [...input.shape], type };
    });
    const specs = given.map(({ shape, type }) => ({ shape, type }));
    const forms = (result: number) => (forProducts.includes(result) ? graph.bfloat16 : null);
    const definition = graph.function(`${name} ${JSON.stringify(specs)}`, specs, (body, fed) =>
      binding.within(body, () => {
        const tensors = specs.map(({ shape, type }, i) => {
          if (type !== DATA_TYPE.bfloat16) return this.tensor(fed[i]!, name, shape, type);
          return this.tensor(cast(body, fed[i]!, DATA_TYPE.float32), name, shape, DATA_TYPE.float32);
        });
        const results = tf.tidy(() => fn(...tensors)).map((result) => this.outputOf(result));
        // Through an Identity: an input may be a result as it is.
        return results.map((at, i) => forms(i)?.write(body, at) ?? output(body.add('Identity', [at])));
      }),
    );
    const ats = given.map(({ at }) => at);
    const call = graph.call(
      definition,
      ats,
      specs.map(({ type }) => type),
    );
    binding.note(call);
    return definition.results.map(({ shape, type }, i) => {
      const form = forms(i);
      if (form === null) return this.tensor(output(call, i), name, shape, type);
      return this.tensor(form.written(output(call, i)), name, shape, DATA_TYPE.float32);
    });
  }

  /** A call of `fn` as one that updates its first inputs where they lie; null where they are not what the step found in states. */
  #updated(inputs: readonly tf.Tensor[], { name, fn, states: count }: FusedAttributes): tf.Tensor[] | null {
    const binding = this.#binding;
    const { graph } = binding;
    const given = inputs.map((input) => ({
      ...this.outputOf(input),
      shape: [...input.shape],
      type: DATA_TYPE[input.dtype as 'float32'],
    }));
    const inPlace = graph.states;
    const states = inPlace?.of(given.slice(0, count));
    if (!inPlace || !states) return null;
    const others = given.slice(count);
    const specs = [...others, ...states.map(() => ({ shape: [], type: DATA_TYPE.resource }))];
    const signature = `${name}, ${count} in place ${JSON.stringify(given.map(({ shape, type }) => ({ shape, type })))}`;
    const definition = graph.function(signature, specs, (body, fed) =>
      binding.within(body, () => {
        const handles = fed.slice(others.length);
        const reads = handles.map((handle, i) => {
          const read = body.add('ReadVariableOp', [handle], { dtype: { type: given[i]!.type } });
          body.setShape(output(read), given[i]!.shape);
          return read;
        });
        const ats = [...reads.map((read) => output(read)), ...fed.slice(0, others.length)];
        const tensors = ats.map((at, i) => this.tensor(at, name, given[i]!.shape, given[i]!.type));
        const results = tf.tidy(() => fn(...tensors)).map((result) => this.outputOf(result));
        for (const [i, handle] of handles.entries())
          body.add('AssignVariableOp', [handle, results[i]!], { dtype: { type: given[i]!.type } }, reads);
        return [];
      }),
    );
    const { call, values } = inPlace.update(graph, definition, others, states);
    binding.note(call);
    return values.map((at, i) => {
      graph.setShape(at, given[i]!.shape);
      return this.tensor(at, name, given[i]!.shape, given[i]!.type);
    });
  }

  /** In a function a barrier to the compiler; elsewhere every op writes its result in any case. */
  #materialize(x: tf.Tensor): tf.Tensor {
    const { graph } = this.#binding;
    if (!graph.isBody) return x.clone();
    const operation = graph.add('XlaOptimizationBarrier', [this.outputOf(x)]);
    this.#binding.note(operation);
    return this.tensor(output(operation), 'a barrier', x.shape, DATA_TYPE[x.dtype as 'float32']);
  }

  /** A product in the precision of the current graph. */
  #product(a: tf.Tensor, b: tf.Tensor, attributes: ProductAttributes, bias: tf.Tensor | undefined): tf.Tensor {
    const { graph } = this.#binding;
    const { bfloat16 } = graph;
    const [first, second] = [a, b].map((tensor) => {
      const at = this.outputOf(tensor);
      return { at: bfloat16?.operand(at, tensor.shape) ?? at, shape: tensor.shape };
    });
    // The compiler joins the two where it can; a product of bfloat16 adds no float32 bias.
    const joined = bias !== undefined && !graph.isBody && !(bfloat16 instanceof NarrowOperands);
    const operation = addProduct(graph, first!, second!, attributes, joined ? this.outputOf(bias) : undefined);
    this.#binding.note(operation);
    const { shape } = graph.shapeOf(operation, 0);
    const at = bfloat16?.result(output(operation)) ?? output(operation);
    const y = this.tensor(at, 'a product', shape, DATA_TYPE.float32);
    return bias === undefined || joined ? y : fused('bias', [y, bias], (sum, by) => [tf.add(sum, by)])[0]!;
  }

  /** `into` with rows overwritten: without a loop where the compiler would make one. */
  #scatter([into, indices, rows]: [tf.Tensor, tf.Tensor, tf.Tensor]): tf.Tensor {
    if (this.#binding.graph.isBody && canSelectRows(into, indices)) return selectRows(into, indices, rows);
    return this.#backend.executeSingleOutput('TensorScatterUpdate', [], [into, indices, rows]);
  }

  static #load(): GraphBackend {
    restoreRemovedFunctions();
    const require = createRequire(import.meta.url);
    // Not tfjs-node's index: that one loads its native addon, which is neither installed nor wanted.
    const { NodeJSKernelBackend } = require('@tensorflow/tfjs-node/dist/nodejs_kernel_backend') as {
      NodeJSKernelBackend: new (binding: LazyBinding, packageName: string) => NodeKernelBackend;
    };
    const binding = new LazyBinding();
    const backend = new NodeJSKernelBackend(binding, '@tensorflow/tfjs-node');
    refuseToRead(binding, backend);
    // Priority 0: tfjs never takes it by itself.
    tf.registerBackend(BACKEND, () => backend, 0);
    require('@tensorflow/tfjs-node/dist/register_all_kernels');
    replaceKernels(BACKEND);
    padConvolutions(BACKEND);
    addKernels(BACKEND);
    silenceCpuBackend(); // tfjs-node brings it along, and tensors made outside of a program land on it.
    const instance = new GraphBackend(binding, backend);
    tf.registerKernel({
      kernelName: FUSED,
      backendName: BACKEND,
      kernelFunc: ({ inputs, attrs }) =>
        instance.#fused(Object.values(inputs) as tf.Tensor[], attrs as unknown as FusedAttributes),
    });
    tf.unregisterKernel('TensorScatterUpdate', BACKEND);
    tf.registerKernel({
      kernelName: 'TensorScatterUpdate',
      backendName: BACKEND,
      kernelFunc: ({ inputs: { tensor, indices, updates } }) =>
        instance.#scatter([tensor as tf.Tensor, indices as tf.Tensor, updates as tf.Tensor]),
    });
    tf.registerKernel({
      kernelName: MATERIALIZE,
      backendName: BACKEND,
      kernelFunc: ({ inputs }) => instance.#materialize(inputs['x'] as tf.Tensor),
    });
    tf.registerKernel({
      kernelName: PRODUCT,
      backendName: BACKEND,
      kernelFunc: ({ inputs, attrs }) =>
        instance.#product(
          inputs['a'] as tf.Tensor,
          inputs['b'] as tf.Tensor,
          attrs as unknown as ProductAttributes,
          inputs['bias'] as tf.Tensor | undefined,
        ),
    });
    return instance;
  }
}

/**
 * A read that can be awaited (`data()`, `array()`) would reject, and a rejection that the traced function does not hear
 * ends the process. It stays open instead, and the trace fails when the function returns.
 */
function refuseToRead(binding: LazyBinding, backend: NodeKernelBackend): void {
  const read = backend.read.bind(backend);
  backend.read = async (dataId) => {
    if (!binding.isTracing) return read(dataId);
    try {
      return backend.readSync(dataId);
    } catch {
      return new Promise(() => {});
    }
  };
}

/** tfjs-node's kernels call two functions that Node 22 calls deprecated, on standard error, and later ones removed. */
function restoreRemovedFunctions(): void {
  const util = nodeUtil as unknown as Record<string, unknown>;
  util['isNullOrUndefined'] = (value: unknown) => value === null || value === undefined;
  util['isArray'] = Array.isArray;
}
