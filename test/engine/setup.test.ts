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
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

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

  it('takes WebAssembly when asked for, and refuses what it does not know', () => {
    expect(setup(['--engine', 'wasm'], { PATH: '' })).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/engine wasm, as asked/),
    });
    expect(setup(['--engine', 'cuda'], {})).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/native or wasm, not cuda/),
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
  let release: object;
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
    release = {
      version: '1.0',
      package: 'repulsor-test-wheel',
      wheel: { file: wheelFile, sha256: sha256(readFileSync(wheel)), size: 'small' },
      files: Object.fromEntries(Object.entries(files).map(([name, text]) => [name, sha256(text)])),
    };
    cache = join(folder, 'cache');
    installed = join(cache, 'repulsor-test-wheel-1.0-linux-x64');
  });

  /** bringNative in a process of its own: what it said, and the reason why not. */
  const bring = async (pins = release): Promise<{ said: string[]; reason?: string }> => {
    const script = `
      import { bringNative } from ${JSON.stringify(SETUP)};
      const said = [];
      const reason = await bringNative((line) => said.push(line), ${JSON.stringify(pins)});
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
    const { reason } = await bring({ ...release, wheel: { file: wheelFile, sha256: '0'.repeat(64), size: 'small' } });
    expect(reason).toMatch(/has SHA-256 [0-9a-f]{64}, not the expected 0{64}/);
    expect(readdirSync(cache)).toEqual([]);
  });

  it('refuses a wheel whose files are not the pinned ones', async () => {
    const { reason } = await bring({ ...release, files: { ...files, 'libtensorflow_cc.so.2': '1'.repeat(64) } });
    expect(reason).toMatch(/unexpected libtensorflow/);
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
