// video-ldm export RUN
import type {CommandModule} from 'yargs';

const components = ['unet', 'encoder', 'decoder', 'text', 'conditions', 'upsampler', 'pipeline', 'models'] as const;

interface ExportArguments {
  run: string;
  component: (typeof components)[number];
  out: string;
  opset?: number;
  half: boolean;
  verify: boolean;
  dynamic: ('batch' | 'frames' | 'height' | 'width' | 'tokens')[];
  decoder?: string;
  size?: number[];
  frames?: number;
  steps: number;
  guidance: number;
  weights: 'ema' | 'raw';
  engine: 'auto' | 'torch' | 'node-gpu' | 'wasm' | 'cpu';
}

export const exportCommand: CommandModule<object, ExportArguments> = {
  command: 'export <run>',
  describe:
    'write a component, or the whole pipeline, as ONNX and prove it equal; or the weights as diffusers has them',
  builder: args =>
    args
      .positional('run', {
        type: 'string',
        demandOption: true,
        describe: 'run, checkpoint, or folder of imported models',
      })
      .option('component', {choices: components, demandOption: true})
      .option('out', {
        type: 'string',
        demandOption: true,
        describe: 'the .onnx file, or the folder of a pipeline or of models',
      })
      .option('decoder', {type: 'string', describe: 'run whose decoder a pipeline gets, such as one of stage decoder'})
      .option('opset', {type: 'number', describe: '17 to 23; 17 when absent, which old runtimes take'})
      .option('half', {type: 'boolean', default: false, describe: 'store weights in fp16'})
      .option('verify', {type: 'boolean', default: true, describe: 'compare with the engine (needs onnxruntime-node)'})
      .option('dynamic', {
        choices: ['batch', 'frames', 'height', 'width', 'tokens'] as const,
        array: true,
        default: [],
        describe: 'sizes that may change when the file runs',
      })
      .option('size', {
        type: 'number',
        array: true,
        nargs: 2,
        describe: 'height and width in pixels; as trained when absent',
      })
      .option('frames', {type: 'number', describe: 'of a video model; as trained when absent'})
      .option('steps', {type: 'number', default: 25, describe: 'sampler steps of a pipeline'})
      .option('guidance', {type: 'number', default: 1, describe: "a pipeline's classifier-free guidance; 1 is none"})
      .option('weights', {choices: ['ema', 'raw'] as const, default: 'ema' as const})
      .option('engine', {choices: ['auto', 'torch', 'node-gpu', 'wasm', 'cpu'] as const, default: 'auto' as const})
      .example('$0 export runs/tiny --component pipeline --out onnx', 'UNet, decoder and pipeline.json'),
  handler: async ({size, component, ...rest}) => {
    if (component === 'models') return asModels(rest);
    const args = {...rest, component};
    const {exportRun} = await import('../../trainers/export_run.ts');
    const [height, width] = size ?? [];
    const asked = height === undefined || width === undefined ? args : {...args, size: [height, width] as const};
    for (const [name, {written, parameters, verification}] of Object.entries(await exportRun(asked))) {
      console.log(`${name}: ${written.files.join(', ')}, ${parameters.toLocaleString('en')} parameters`);
      if (!verification) console.log('  not verified');
      for (const {sizes, errors} of verification?.runs ?? []) {
        const at = Object.entries(sizes).map(([dim, value]) => `${dim} ${value}`);
        const found = Object.entries(errors).map(([output, error]) => `${output} ${error.toExponential(1)}`);
        console.log(`  relative error${at.length > 0 ? ` at ${at.join(', ')}` : ''}: ${found.join(', ')}`);
      }
      for (const line of verification?.warnings ?? []) console.log(`  onnxruntime says: ${line}`);
    }
  },
};

/** Safetensors in diffusers' layout, the layers over time apart. */
async function asModels({
  run,
  out,
  half,
  weights,
}: Pick<ExportArguments, 'run' | 'out' | 'half' | 'weights'>): Promise<void> {
  const {exportModels} = await import('../../trainers/export_models.ts');
  const parts = await exportModels({run, out, weights, dtype: half ? 'F16' : 'F32'});
  for (const [part, tensors] of Object.entries(parts)) console.log(`${part}: ${tensors} tensors`);
  console.log(`${run} -> ${out}: safetensors in diffusers' layout; start a stage from it with "from: ${out}"`);
}
