// video-ldm export RUN
import type {CommandModule} from 'yargs';

interface ExportArguments {
  run: string;
  component: 'unet' | 'encoder' | 'decoder' | 'pipeline';
  out: string;
  opset?: number;
  half: boolean;
  verify: boolean;
  dynamic: ('batch' | 'frames' | 'height' | 'width')[];
  steps: number;
  weights: 'ema' | 'raw';
  engine: 'auto' | 'torch' | 'node-gpu' | 'wasm' | 'cpu';
}

export const exportCommand: CommandModule<object, ExportArguments> = {
  command: 'export <run>',
  describe: 'write a component, or the whole pipeline, as ONNX and prove it equal in onnxruntime',
  builder: args =>
    args
      .positional('run', {type: 'string', demandOption: true, describe: 'run folder, or a checkpoint folder in it'})
      .option('component', {choices: ['unet', 'encoder', 'decoder', 'pipeline'] as const, demandOption: true})
      .option('out', {type: 'string', demandOption: true, describe: 'the .onnx file, or the folder of a pipeline'})
      .option('opset', {type: 'number', describe: '17 when absent, which old runtimes take'})
      .option('half', {type: 'boolean', default: false, describe: 'store weights in fp16'})
      .option('verify', {type: 'boolean', default: true, describe: 'compare with the engine (needs onnxruntime-node)'})
      .option('dynamic', {
        choices: ['batch', 'frames', 'height', 'width'] as const,
        array: true,
        default: [],
        describe: 'sizes that may change when the file runs',
      })
      .option('steps', {type: 'number', default: 25, describe: 'sampler steps of a pipeline'})
      .option('weights', {choices: ['ema', 'raw'] as const, default: 'ema' as const})
      .option('engine', {choices: ['auto', 'torch', 'node-gpu', 'wasm', 'cpu'] as const, default: 'auto' as const})
      .example('$0 export runs/tiny --component pipeline --out onnx', 'UNet, decoder and pipeline.json'),
  handler: async args => {
    const {exportRun} = await import('../../trainers/export_run.ts');
    for (const [name, {written, parameters, verification}] of Object.entries(await exportRun(args))) {
      const proof = verification ? `relative error ${verification.worst.toExponential(1)}` : 'not verified';
      console.log(`${name}: ${written.files.join(', ')}, ${parameters.toLocaleString('en')} parameters, ${proof}`);
    }
  },
};
