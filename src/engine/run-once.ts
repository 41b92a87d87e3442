import type { Engine, HostTensor, HostTensors, Random, TensorSpec, Tensors } from './engine.ts';

/**
 * Compiles a function without state, runs it once, and disposes it: for numbers that are wanted once. `seed` and `step` key
 * what it draws.
 * @throws RepulsorError ENGINE_FAILED
 */
export async function runOnce(
  engine: Engine,
  inputs: Readonly<Record<string, HostTensor>>,
  fn: (inputs: Tensors, random: Random) => Tensors,
  { seed = 0, step = 0 }: { readonly seed?: number; readonly step?: number } = {},
): Promise<HostTensors> {
  const specs: Record<string, TensorSpec> = {};
  for (const [name, { shape, dtype }] of Object.entries(inputs)) specs[name] = { shape, dtype };
  const program = await engine.compile({
    name: 'once',
    seed,
    state: {},
    inputs: specs,
    fn: (_, fed, random) => ({ outputs: fn(fed, random) }),
  });
  try {
    return await program.run(Object.fromEntries(Object.entries(inputs).map(([name, { data }]) => [name, data])), step);
  } finally {
    program.dispose();
  }
}
