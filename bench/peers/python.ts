import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../scripts/kafka/jars.ts';
import { RepulsorError } from '../../src/errors.ts';

/** The Python in which `bench/peers/setup` installed the peers. @throws RepulsorError ENGINE_UNAVAILABLE */
export function peerPython(): string {
  const python = join(cacheFolder(), 'peers', 'venv', 'bin', 'python');
  if (existsSync(python)) return python;
  throw new RepulsorError('ENGINE_UNAVAILABLE', 'the peers to compare with are not installed', {
    hint: 'run: bench/peers/setup (PyTorch and mosaicml-streaming, about 3 GB, once); or measure without them: --no-peers',
  });
}

/** For a peer's process: what PyTorch compiles is kept in the cache. */
export function peerEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, TORCHINDUCTOR_CACHE_DIR: join(cacheFolder(), 'peers', 'inductor') };
}
