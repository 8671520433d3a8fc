// video-ldm import SOURCE --out FOLDER
import type {CommandModule} from 'yargs';

interface ImportArguments {
  source: string;
  out: string;
  ema: boolean;
  prediction?: 'eps' | 'v';
  variant?: string;
  dtype?: 'F32' | 'F16' | 'BF16';
  tokenizer?: string;
  temporal?: string;
  'scale-factor'?: number;
  revision: string;
  'allow-missing': boolean;
  'allow-unexpected': boolean;
}

export const importCommand: CommandModule<object, ImportArguments> = {
  command: 'import <source>',
  describe: 'published Stable Diffusion weights into a folder that a stage starts from ("from: FOLDER")',
  builder: args =>
    args
      .positional('source', {
        type: 'string',
        demandOption: true,
        describe: 'diffusers folder, .safetensors file, or hf:OWNER/NAME',
      })
      .option('out', {type: 'string', demandOption: true, describe: 'the folder to write'})
      .option('ema', {type: 'boolean', default: false, describe: "the UNet's averaged weights, where a file has both"})
      .option('prediction', {
        choices: ['eps', 'v'] as const,
        describe: 'what the network predicts; single files of SD 2.x do not say',
      })
      .option('variant', {type: 'string', describe: 'files such as model.VARIANT.safetensors, for example fp16'})
      .option('dtype', {
        choices: ['F32', 'F16', 'BF16'] as const,
        describe: 'store weights so; as they are when absent',
      })
      .option('tokenizer', {type: 'string', describe: 'folder with vocab.json and merges.txt, for single files'})
      .option('temporal', {
        type: 'string',
        describe: "model folder whose layers over time go onto the source's UNet, with their text",
      })
      .option('scale-factor', {type: 'number', describe: "the autoencoder's; told by its kind when absent"})
      .option('revision', {type: 'string', default: 'main', describe: 'branch, tag or commit on the hub'})
      .option('allow-missing', {
        type: 'boolean',
        default: false,
        describe: 'give weights that the source lacks their initial values',
      })
      .option('allow-unexpected', {type: 'boolean', default: false, describe: 'leave out keys that no model has'})
      .example('$0 import stable-diffusion-v1-5 --out models/sd15', 'then "from: models/sd15" in a configuration')
      .example('$0 import v2-1_768.safetensors --prediction v --tokenizer tok --out models/sd21', 'a single file'),
  handler: async args => {
    const {importModels} = await import('../weights/import_models.ts');
    const {source} = args;
    const found = /^hf:(.*)$/.exec(source);
    const place = found ? await fromHub(found[1]!, args) : source;
    const {kind, parts, unexpected, diffusion, bytes, notes} = await importModels({
      ...args,
      source: place,
      scaleFactor: args['scale-factor'],
      allowMissing: args['allow-missing'],
      allowUnexpected: args['allow-unexpected'],
    });
    for (const [part, {tensors, parameters, missing}] of Object.entries(parts)) {
      const lacks = missing.length > 0 ? `, ${missing.length} missing and given initial values` : '';
      console.log(`${part}: ${tensors} tensors, ${parameters.toLocaleString('en')} parameters${lacks}`);
    }
    if (unexpected.length > 0) console.log(`left out: ${unexpected.join(', ')}`);
    if (diffusion) console.log(`predicts ${diffusion.prediction}; ${diffusion.schedule.kind} noise schedule`);
    for (const note of notes) console.log(`note: ${note}`);
    console.log(
      `${kind} -> ${args.out}, ${(bytes / 2 ** 20).toFixed(1)} MiB: start a stage from it with "from: ${args.out}"`,
    );
  },
};

async function fromHub(name: string, {variant, revision}: ImportArguments): Promise<string> {
  const {fetchModels} = await import('../weights/hub/fetch_models.ts');
  return fetchModels(name, {revision, variant, onProgress: line => console.log(line)});
}
