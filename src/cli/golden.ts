// video-ldm golden FILE...
import type {CommandModule} from 'yargs';

interface GoldenArguments {
  file: string[];
  out?: string;
  limit: number;
  engine: 'auto' | 'torch' | 'node-gpu' | 'wasm' | 'cpu';
}

export const golden: CommandModule<object, GoldenArguments> = {
  command: 'golden <file..>',
  describe: 'recompute the outputs of reference files and print the error of each',
  builder: args =>
    args
      .positional('file', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'safetensors named after their case',
      })
      .option('out', {type: 'string', describe: 'folder for the outputs computed, as safetensors'})
      .option('limit', {type: 'number', default: 1e-4, describe: 'relative L2 error above which the exit code is 1'})
      .option('engine', {choices: ['auto', 'torch', 'node-gpu', 'wasm', 'cpu'] as const, default: 'auto' as const}),
  handler: async ({file: files, out, limit, engine}) => {
    const [{mkdir}, path, {openEngine}, {runGolden}, {writeSafetensors}, {UserError}] = await Promise.all([
      import('node:fs/promises'),
      import('node:path'),
      import('../engine/index.ts'),
      import('../golden/golden.ts'),
      import('../weights/safetensors.ts'),
      import('../platform/user_error.ts'),
    ]);
    await openEngine(engine);
    const wrong: string[] = [];
    for (const file of files) {
      const {errors, outputs} = await runGolden(file);
      for (const [name, error] of Object.entries(errors)) {
        console.log(`${path.basename(file)} ${name}: relative L2 error ${error.toExponential(2)}`);
        if (!(error <= limit)) wrong.push(`${path.basename(file)} ${name}`);
      }
      if (out === undefined) continue;
      await mkdir(out, {recursive: true});
      await writeSafetensors(path.join(out, path.basename(file)), outputs);
    }
    if (wrong.length > 0) throw new UserError(`${wrong.join(', ')}: the error is above ${limit}.`);
  },
};
