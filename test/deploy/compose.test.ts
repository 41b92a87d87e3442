import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { DEFAULT_METRICS_PORT } from '../../src/metrics/server.ts';
import { VERSION } from '../../src/version.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (name: string) => readFileSync(join(ROOT, name), 'utf8');
const readYaml = (name: string) => parse(read(name), { merge: true });

interface Service {
  readonly image: string;
  readonly build?: string;
  readonly command?: string;
  readonly environment?: Record<string, string>;
  readonly ports?: string[];
  readonly volumes?: string[];
  readonly depends_on?: Record<string, { condition: string }>;
  readonly healthcheck?: { test: string[] };
}
const compose: { services: Record<string, Service>; volumes: Record<string, null> } = readYaml('docker-compose.yml');
const services = Object.entries(compose.services);
const { kafka, images, trainer, prometheus, grafana } = compose.services as Record<string, Required<Service>>;

/** The value of a flag of a command. */
function flag(command: string, name: string): string | undefined {
  const words = command.split(/[\s=]+/);
  return words[words.indexOf(name) + 1];
}

describe('docker-compose.yml', () => {
  const ajv = new Ajv2020({ strict: false });
  const valid = ajv.compile(JSON.parse(read('test/deploy/compose-spec.json')));

  test('fits the Compose Specification', () => {
    valid(compose);
    expect(valid.errors).toBeNull();
  });

  test.each([
    ['an unknown key', { services: { a: { imagee: 'x' } } }],
    ['a healthcheck that is none', { services: { a: { image: 'x', healthcheck: { test: 5 } } } }],
    ['a condition that does not exist', { services: { a: { image: 'x', depends_on: { b: { condition: 'ready' } } } } }],
  ])('would not with %s: the schema is at work', (_, broken) => {
    expect(valid(broken)).toBe(false);
  });

  test('mounts only files and folders that are there, and volumes that are declared, each of them used', () => {
    const used = new Set<string>();
    for (const [name, { volumes = [] }] of services) {
      for (const volume of volumes) {
        const source = volume.split(':')[0]!;
        if (source.startsWith('.')) expect(existsSync(join(ROOT, source)), `${name}: ${source}`).toBe(true);
        else used.add(source);
      }
    }
    expect([...used].sort()).toEqual(Object.keys(compose.volumes).sort());
  });

  test('is reached from this machine only', () => {
    const ports = services.flatMap(([, service]) => service.ports ?? []);
    expect(ports.length).toBeGreaterThan(3);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  test('holds no secret', () => {
    for (const [name, { environment = {} }] of services) {
      expect(
        Object.keys(environment).filter((key) => /PASSWORD|SECRET|TOKEN|_KEY/.test(key)),
        name,
      ).toEqual([]);
    }
    // Grafana would else make the account admin/admin.
    expect(grafana!.environment['GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION']).toBe('true');
  });

  test('and the Dockerfile pin every image to a version; ours to that of package.json', () => {
    const bases = [...read('Dockerfile').matchAll(/^FROM (\S+)/gm)].map((match) => match[1]!);
    expect(bases.length).toBe(2);
    for (const image of [...services.map(([, service]) => service.image), ...bases]) {
      expect(image).toMatch(/^[a-z/]+:v?\d+\.\d+\.\d+/);
    }
    for (const { image, build } of Object.values(compose.services))
      if (build) expect(image).toBe(`repulsor:${VERSION}`);
  });

  test('waits for what is healthy, or has ended well, and can tell', () => {
    for (const [name, { depends_on = {} }] of services) {
      for (const [other, { condition }] of Object.entries(depends_on)) {
        expect(Object.keys(compose.services)).toContain(other);
        if (condition === 'service_healthy')
          expect(compose.services[other]!.healthcheck, `${name} on ${other}`).toBeDefined();
      }
    }
  });
});

test('docker-compose.gpu.yml changes the trainer alone: another image, the GPU engine and a GPU', () => {
  const valid = new Ajv2020({ strict: false }).compile(JSON.parse(read('test/deploy/compose-spec.json')));
  const gpu = readYaml('docker-compose.gpu.yml');
  valid(gpu);
  expect(valid.errors).toBeNull();
  expect(Object.keys(gpu.services)).toEqual(['trainer']);
  const { build, image, command, deploy } = gpu.services.trainer;
  expect(command.replace(' --engine native-gpu', '').split(/\s+/)).toEqual(trainer!.command.split(/\s+/));
  expect(image).toBe(`repulsor-gpu:${VERSION}`);
  expect(deploy.resources.reservations.devices).toEqual([{ driver: 'nvidia', count: 1, capabilities: ['gpu'] }]);
  for (const name of Object.keys(build.args)) expect(read('Dockerfile')).toMatch(new RegExp(`^ARG ${name}=`, 'm'));
});

describe('the services find each other', () => {
  test('kafka, by the address that it tells its clients', () => {
    const advertised = kafka!.environment['KAFKA_ADVERTISED_LISTENERS']!.split(',');
    const { command } = trainer!;
    expect(advertised).toContain(flag(command, '--log')!.replace('kafka://', 'INTERNAL://'));
    expect(flag(images!.command, '--to')).toBe(flag(command, '--log'));
    expect(flag(images!.command, '--topic')).toBe(flag(command, '--topic'));
    const [, outside, inside] = kafka!.ports[0]!.split(':');
    expect(advertised).toContain(`HOST://localhost:${outside}`);
    expect(kafka!.environment['KAFKA_LISTENERS']).toContain(`HOST://:${inside}`);
  });

  test('the trainer, where it serves and where it is scraped, probed and published', () => {
    const port = String(DEFAULT_METRICS_PORT);
    expect(flag(trainer!.command, '--metrics-port')).toBe(port);
    // Inside its container: on 127.0.0.1 Prometheus could not reach it.
    expect(flag(trainer!.command, '--metrics-host')).toBe('0.0.0.0');
    expect(trainer!.ports).toEqual([`127.0.0.1:${port}:${port}`]);
    expect(trainer!.healthcheck.test.join(' ')).toContain(`http://127.0.0.1:${port}/healthz`);
    expect(readYaml('prometheus/compose-target.yml')).toEqual([{ targets: [`trainer:${port}`] }]);
    expect(readYaml('prometheus/targets/local.yml')).toEqual([{ targets: [`127.0.0.1:${port}`] }]);
    expect(read('Dockerfile')).toContain(`EXPOSE ${port}\n`);
  });

  test('prometheus its files, where its configuration looks for them', () => {
    const mounted = prometheus!.volumes.map((volume) => volume.split(':')[1]);
    const config = readYaml('prometheus/prometheus.yml');
    expect(mounted).toContain(flag(prometheus!.command, '--config.file'));
    expect(mounted).toContain(`/etc/prometheus/${config.rule_files[0]}`);
    expect(config.scrape_configs[0].file_sd_configs[0].files).toEqual(['targets/*.yml']);
    expect(mounted).toContain('/etc/prometheus/targets/trainer.yml');
  });

  test('grafana its Prometheus, its dashboard and the scrape interval', () => {
    const [source] = readYaml('grafana/provisioning/datasources/prometheus.yml').datasources;
    expect(source.url).toBe(`http://prometheus:${prometheus!.ports[0]!.split(':')[2]}`);
    expect(source.jsonData.timeInterval).toBe(readYaml('prometheus/prometheus.yml').global.scrape_interval);
    const mounts = Object.fromEntries(grafana!.volumes.map((volume) => volume.split(':').slice(0, 2).reverse()));
    const [provider] = readYaml('grafana/provisioning/dashboards/repulsor.yml').providers;
    expect(mounts[provider.options.path]).toBe('./grafana/dashboards');
    expect(mounts['/etc/grafana/provisioning']).toBe('./grafana/provisioning');
    expect(grafana!.environment['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH']).toBe(
      `${provider.options.path}/repulsor.json`,
    );
    expect(existsSync(join(ROOT, 'grafana/dashboards/repulsor.json'))).toBe(true);
  });
});

describe('the image', () => {
  /** The patterns let in again after "*", as .dockerignore has them. */
  const admitted = read('.dockerignore')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1));

  test('gets only what exists and can be had in a clone', () => {
    for (const name of admitted) expect(existsSync(join(ROOT, name)), name).toBe(true);
    const copied = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((match) =>
      match[1]!.split(' '),
    );
    expect(copied).toContain('.');
    for (const name of copied.filter((one) => one !== '.')) expect(admitted, name).toContain(name);
  });

  test.each([
    ['trainer', trainer!],
    ['images', images!],
  ])('knows the command of the service %s', async (_, { command }) => {
    const words = command.split(/\s+/);
    const { stdout } = await promisify(execFile)('node', [join(ROOT, 'bin/repulsor.js'), words[0]!, '--help']);
    for (const part of words.filter((one) => one.startsWith('--')))
      expect(stdout).toMatch(new RegExp(`${part}( <|  )`));
    const pipeline = words.find((one) => one.startsWith('pipelines/'));
    if (pipeline !== undefined) expect(existsSync(join(ROOT, pipeline))).toBe(true);
  });
});
