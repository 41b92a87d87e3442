import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

/** As setup/releases.js has them. */
interface Release {
  readonly name: string;
  readonly title: string;
  readonly framework: string;
  readonly cc: string;
  readonly preload: readonly string[];
  readonly root: string;
  readonly unpackedBytes: number;
  readonly wheels: readonly object[];
}

const SETUP = fileURLToPath(new URL('../../setup.js', import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'repulsor-setup-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Starts setup.js as a user does. */
function setup(args: string[], env: NodeJS.ProcessEnv) {
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, [SETUP, ...args], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  return { status, stdout, stderr, seconds: (performance.now() - start) / 1000 };
}

describe('node setup.js', () => {
  it('run again is quick and needs neither Python nor a network', () => {
    const again = setup([], { PATH: '' });
    expect(again).toMatchObject({ status: 0, stderr: '' });
    expect(again.stdout).toMatch(/^setup: engine native \(TensorFlow 2\.21\.0.*GPU.*\n$/);
    expect(again.seconds).toBeLessThan(3);
  });

  it('says nothing with --quiet when the engine is the best', () => {
    expect(setup(['--quiet'], {})).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  it.each([[[]], [['--quiet']]])('without Python takes WebAssembly and says why, in one line (%j)', (args) => {
    const { status, stdout } = setup(args, { PATH: '', REPULSOR_CACHE: folder });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^setup: engine wasm \(slower\), because there is no python3 on the PATH.*\n$/);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('fails where native was asked for and Python is missing', () => {
    const { status, stdout, stderr } = setup(['--engine', 'native'], { PATH: '', REPULSOR_CACHE: folder });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/native engine cannot be had: there is no python3/);
  });

  it('says what pip said when the download is refused, and leaves nothing behind', () => {
    const { status, stderr } = setup(['--engine', 'native'], {
      REPULSOR_CACHE: folder,
      PIP_NO_INDEX: '1',
      PIP_FIND_LINKS: folder,
    });
    expect(status).toBe(1);
    expect(stderr).toMatch(/pip could not fetch tensorflow-cpu 2\.21\.0: .*No matching distribution/);
    expect(readdirSync(folder)).toEqual([]);
  });

  /** A cache with the real libraries for the CPU, and a PATH with an nvidia-smi that says `words`. */
  const withGpu = (words: string): NodeJS.ProcessEnv => {
    const cpu = 'tensorflow-cpu-2.21.0-linux-x64';
    const real =
      process.env['REPULSOR_CACHE'] || join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'repulsor');
    symlinkSync(join(real, cpu), join(folder, cpu));
    mkdirSync(join(folder, 'bin'));
    writeFileSync(join(folder, 'bin', 'nvidia-smi'), `#!/bin/sh\necho ${words}\n`, { mode: 0o755 });
    return { REPULSOR_CACHE: folder, PATH: `${join(folder, 'bin')}:${process.env['PATH']}` };
  };

  it('fetches nothing for a GPU whose driver is too old, and says so, also with --quiet', () => {
    const { status, stdout } = setup(['--quiet'], withGpu('NVIDIA T4, 470.82.01'));
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^setup: engine native \(.* on the CPU\)\. The GPU is not used, because the driver of NVIDIA T4/,
    );
  });

  it('fetches the build for CUDA where there is a GPU, and goes on without it where that fails', () => {
    const offline = { PIP_NO_INDEX: '1', PIP_FIND_LINKS: folder };
    const { status, stdout, stderr } = setup([], { ...withGpu('NVIDIA T4, 550.54.15'), ...offline });
    expect(status).toBe(0);
    expect(stderr).toMatch(/fetching TensorFlow 2\.21\.0 for CUDA 12 \(3380 MB, once\)/);
    expect(stdout).toMatch(
      /engine native \(.* on the CPU\)\. The GPU is not used, because pip could not fetch tensorflow 2/,
    );
    expect(setup(['--engine', 'native-cpu'], { REPULSOR_CACHE: folder }).stdout).toMatch(/A GPU is not used, as asked/);
  });

  it('takes WebAssembly when asked for, and refuses what it does not know', () => {
    expect(setup(['--engine', 'wasm'], { PATH: '' })).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/engine wasm, as asked/),
    });
    expect(setup(['--engine', 'cuda'], {})).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/native-gpu or wasm, not cuda/),
    });
    expect(setup(['--fast'], {})).toMatchObject({ status: 2, stderr: expect.stringMatching(/usage/) });
  });
});

/**
 * The same code, with the real pip, on a small wheel that is made here: it stands for TensorFlow's 274 MB, with pins of
 * its own.
 */
describe('the installation', () => {
  const files = {
    'libtensorflow_framework.so.2': 'framework '.repeat(1000),
    'libtensorflow_cc.so.2': 'cc '.repeat(50_000),
  };
  const wheelFile = 'repulsor_test_wheel-1.0-cp311-cp311-manylinux_2_27_x86_64.whl';
  const sha256 = (data: Buffer | string) => createHash('sha256').update(data).digest('hex');
  let release: Release;
  let installed: string;
  let cache: string;

  beforeEach(() => {
    const make = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    wheel.writestr('tensorflow/libtensorflow_framework.so.2', 'framework ' * 1000)
    wheel.writestr('tensorflow/libtensorflow_cc.so.2', 'cc ' * 50000)
    info = 'repulsor_test_wheel-1.0.dist-info/'
    wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: repulsor-test-wheel\\nVersion: 1.0\\n')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: cp311-cp311-manylinux_2_27_x86_64\\n')
    wheel.writestr(info + 'RECORD', '')
`;
    mkdirSync(join(folder, 'wheels'));
    const wheel = join(folder, 'wheels', wheelFile);
    expect(spawnSync('python3', ['-c', make, wheel], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
    const pinned = Object.fromEntries(Object.entries(files).map(([name, text]) => [name, sha256(text)]));
    release = {
      name: 'repulsor-test-wheel-1.0-linux-x64',
      title: 'a test',
      framework: 'libtensorflow_framework.so.2',
      cc: 'libtensorflow_cc.so.2',
      preload: [],
      root: 'tensorflow/',
      unpackedBytes: 1e6,
      wheels: [
        {
          package: 'repulsor-test-wheel',
          version: '1.0',
          file: wheelFile,
          sha256: sha256(readFileSync(wheel)),
          bytes: 1000,
          files: pinned,
        },
      ],
    };
    cache = join(folder, 'cache');
    installed = join(cache, 'repulsor-test-wheel-1.0-linux-x64');
  });

  /** `bring` in a process of its own: what it said, and the reason why not. */
  const bring = async (pins = release): Promise<{ said: string[]; reason?: string }> => {
    const script = `
      import { bring } from ${JSON.stringify(SETUP)};
      const said = [];
      const reason = await bring(${JSON.stringify(pins)}, (line) => said.push(line));
      console.log(JSON.stringify({ said, reason }));`;
    const env = { ...process.env, REPULSOR_CACHE: cache, PIP_NO_INDEX: '1', PIP_FIND_LINKS: join(folder, 'wheels') };
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    for await (const chunk of child.stdout) out += chunk;
    return JSON.parse(out);
  };

  const withWheel = (change: object): Release => ({ ...release, wheels: [{ ...release.wheels[0]!, ...change }] });

  const expectWhole = () => {
    for (const [name, text] of Object.entries(files)) expect(readFileSync(join(installed, name), 'utf8')).toBe(text);
    expect(readdirSync(cache)).toEqual(['repulsor-test-wheel-1.0-linux-x64']); // Nothing partial is left.
    expect(readdirSync(installed).sort()).toEqual(['complete.json', ...Object.keys(files)].sort());
  };

  it('brings the files, whole, and the second time does nothing', async () => {
    expect(await bring()).toEqual({ said: [expect.stringContaining('fetching')] });
    expectWhole();
    expect(await bring()).toEqual({ said: [] });
  });

  it.each([
    [
      'a file that was changed',
      () => appendFileSync(join(installed, 'libtensorflow_cc.so.2'), 'x'),
      /cc\.so\.2 \(SHA-256/,
    ],
    [
      'a file that is gone',
      () => rmSync(join(installed, 'libtensorflow_framework.so.2')),
      /framework\.so\.2 \(missing\)/,
    ],
  ])('replaces %s', async (_, damage, said) => {
    await bring();
    damage();
    expect((await bring()).said).toEqual([expect.stringMatching(said), expect.stringContaining('fetching')]);
    expectWhole();
  });

  it('keeps files that were only touched or copied, without fetching them', async () => {
    await bring();
    utimesSync(join(installed, 'libtensorflow_cc.so.2'), 1, 1);
    writeFileSync(join(installed, 'complete.json'), '{"half":');
    expect(await bring()).toEqual({ said: [] });
    expectWhole();
  });

  it('is safe when several run at once', async () => {
    const results = await Promise.all(Array.from({ length: 4 }, () => bring()));
    for (const { reason } of results) expect(reason).toBeUndefined();
    expectWhole();
  });

  it('refuses a wheel that is not the pinned one', async () => {
    const { reason } = await bring(withWheel({ sha256: '0'.repeat(64) }));
    expect(reason).toMatch(/has SHA-256 [0-9a-f]{64}, not the expected 0{64}/);
    expect(readdirSync(cache)).toEqual([]);
  });

  it('refuses a wheel whose files are not the pinned ones', async () => {
    const { reason } = await bring(withWheel({ files: { ...files, 'libtensorflow_cc.so.2': '1'.repeat(64) } }));
    expect(reason).toMatch(/unexpected libtensorflow/);
    expect(readdirSync(cache)).toEqual([]);
  });

  it('lays the files of several wheels out as they have them, programs executable', async () => {
    const make = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    wheel.writestr('nvidia/cuda_nvcc/bin/ptxas', '#!/bin/sh\\n')
    wheel.writestr('nvidia/cuda_nvcc/include/not-needed.h', '')
    info = 'repulsor_test_nvcc-2.0.dist-info/'
    wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: repulsor-test-nvcc\\nVersion: 2.0\\n')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-manylinux2010_x86_64\\n')
    wheel.writestr(info + 'RECORD', '')
`;
    const file = 'repulsor_test_nvcc-2.0-py3-none-manylinux2010_x86_64.whl';
    const wheel = join(folder, 'wheels', file);
    expect(spawnSync('python3', ['-c', make, wheel], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
    const nvcc = {
      package: 'repulsor-test-nvcc',
      version: '2.0',
      file,
      sha256: sha256(readFileSync(wheel)),
      bytes: 1000,
      files: { 'nvidia/cuda_nvcc/bin/ptxas': sha256('#!/bin/sh\n') },
    };
    const tensorflow = Object.entries(files).map(([name, text]) => [`tensorflow/${name}`, sha256(text)]);
    const first = { ...release.wheels[0]!, files: Object.fromEntries(tensorflow) };
    const { said, reason } = await bring({ ...release, root: '', wheels: [first, nvcc] });
    expect(reason).toBeUndefined();
    expect(said).toEqual([
      expect.stringContaining('fetching a test'),
      '1 of 2: repulsor-test-wheel 1.0',
      '2 of 2: repulsor-test-nvcc 2.0',
    ]);
    expect(readdirSync(installed).sort()).toEqual(['complete.json', 'nvidia', 'tensorflow']);
    expect(readdirSync(join(installed, 'nvidia/cuda_nvcc'))).toEqual(['bin']);
    expect(spawnSync(join(installed, 'nvidia/cuda_nvcc/bin/ptxas'))).toMatchObject({ status: 0 });
  });

  it('refuses before it fetches where the disk has no room', async () => {
    const { said, reason } = await bring({ ...release, unpackedBytes: 1e18 });
    expect(said).toEqual([]);
    expect(reason).toMatch(/needs 1000000000\.0 GB of disk, and .* has \d+\.\d GB left/);
    expect(readdirSync(cache)).toEqual([]);
  });

  it('removes what a killed one left a day ago, and not what another is at now', async () => {
    mkdirSync(join(cache, '.partial-old'), { recursive: true });
    mkdirSync(join(cache, '.partial-new'));
    const dayAgo = Date.now() / 1000 - 25 * 3600;
    utimesSync(join(cache, '.partial-old'), dayAgo, dayAgo);
    await bring();
    expect(existsSync(join(cache, '.partial-old'))).toBe(false);
    expect(existsSync(join(cache, '.partial-new'))).toBe(true);
  });
});
