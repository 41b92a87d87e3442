/**
 * Trains a small autoencoder of the digits and writes it as ONNX: `npm run digit-vae -- --to FOLDER [--steps 1500]`.
 * For trying latents, and for the tests of them.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openEngine } from '../src/engine/choose.ts';
import { digits } from '../src/ingest/digits.ts';
import { exportScale, exportVae } from './digit-vae/export.ts';
import { measureVae, type VaeMeasures } from './digit-vae/measure.ts';
import { trainVae } from './digit-vae/train.ts';
import { runScript } from './run-script.ts';

const USAGE = `Usage: npm run digit-vae -- --to FOLDER [--steps N] [--seed N] [--engine native|cpu] [--json]

Trains a variational autoencoder of the built-in digits (28x28x1 to 7x7x4) on 9,000 of them, writes FOLDER/vae_encoder/model.onnx and
FOLDER/vae_decoder/model.onnx, and says what error it makes on the 1,000 others.`;

const HELD_OUT = 1_000;

export interface DigitVae extends VaeMeasures {
  readonly encoder: string;
  readonly decoder: string;
  /** 1 / deviation: latents times this are about as large as the noise they are mixed with. */
  readonly scale: number;
}

/** Trains, writes, and measures on the digits held out. */
export async function makeDigitVae(
  to: string,
  settings: { steps: number; seed: number; engine: 'native' | 'cpu' },
  note: (line: string) => void = () => {},
): Promise<DigitVae> {
  const images: Uint8Array[] = [];
  for await (const image of digits().images()) if ('bytes' in image) images.push(image.bytes);
  const train = images.slice(0, -HELD_OUT);
  const unit = new Float32Array(train.length * train[0]!.length);
  for (const [i, image] of train.entries())
    for (const [k, v] of image.entries()) unit[i * image.length + k] = v / 127.5 - 1;
  const { engine, message } = await openEngine({ name: settings.engine });
  note(message);
  try {
    const onStep = (step: number, error: number) => {
      if (step % 100 === 0) note(`step ${step}/${settings.steps}  error ${Math.sqrt(error).toFixed(4)}`);
    };
    const flat = await trainVae(engine, { ...settings, images: unit, onStep });
    const files = await exportVae(flat, to);
    const measures = await measureVae(files, images.slice(-HELD_OUT));
    const scale = Number((1 / measures.deviation).toPrecision(2));
    await exportScale(to, scale);
    return { ...files, ...measures, scale };
  } finally {
    engine.dispose();
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      to: { type: 'string' },
      steps: { type: 'string', default: '1500' },
      seed: { type: 'string', default: '0' },
      engine: { type: 'string', default: 'native' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const [steps, seed, { to, engine }] = [Number(values.steps), Number(values.seed), values];
  if (to === undefined) throw new TypeError('--to says where it is written');
  if (!Number.isSafeInteger(steps) || steps < 1) throw new TypeError(`--steps ${values.steps} is no number of steps`);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new TypeError(`--seed ${values.seed} is no seed`);
  if (engine !== 'native' && engine !== 'cpu')
    throw new TypeError(`--engine ${engine} has no gradients of convolutions`);
  const note = (line: string) => (values.json ? undefined : console.error(line));
  const made = await makeDigitVae(to, { steps, seed, engine }, note);
  const { encoder, decoder, error, drawnError, deviation, scale } = made;
  if (values.json) {
    console.log(JSON.stringify({ encoder, decoder, error, drawn_error: drawnError, deviation, scale }));
    return;
  }
  console.log(`${encoder} and ${decoder}
held-out digits, root mean square error of a pixel in [-1, 1]: ${error.toFixed(4)} from the mean, ${drawnError.toFixed(4)} from a drawn latent
deviation of the latents ${deviation.toFixed(3)}: multiplied by ${scale} (scaling_factor in config.json) it is 1`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) runScript(main, USAGE);
