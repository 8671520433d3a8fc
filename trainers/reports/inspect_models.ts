// What a model folder or a safetensors file holds: parameters of each part, counted from names and shapes alone.

import type {Block} from '../../src/layers/block.ts';
import {AutoencoderKL, countParameters, countPart, TextEncoder, UNet} from '../../src/models/index.ts';
import {table} from '../../src/platform/table.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {elements} from '../../src/weights/host_tensor.ts';
import {splitSingleFile} from '../../src/weights/import_sources/split_single_file.ts';
import {matchKeys} from '../../src/weights/load_weights.ts';
import {type FolderModel, readModelFolder} from '../../src/weights/model_folder.ts';
import {openSafetensors, withSafetensors} from '../../src/weights/safetensors.ts';

const number = (value: number) => value.toLocaleString('en');

/** The models of a folder, whether their files hold exactly their weights, and how the UNet is sampled. */
export async function inspectModelFolder(folder: string): Promise<string> {
  const {unet, temporal, vae, text, temporalText, tokenizer, diffusion} = await readModelFolder(folder);
  const rows: string[][] = [];
  const add = async (
    name: string,
    model: FolderModel<unknown> | undefined,
    block: Block | undefined,
    part?: 'spatial' | 'temporal',
  ) => {
    if (!model || !block) return;
    const wanted = part && (({part: own}: {part: string}) => own === part);
    const {parameters, tensors} = part ? countPart(block, part) : countParameters(block);
    const state = await withSafetensors(model.file, async file => {
      const {missing, unexpected, misshaped} = matchKeys(block.weightSpecs(), file, {
        pathOf: model.pathOf,
        ...(wanted ? {wanted} : {}),
      });
      const dtypes = [...new Set([...file.tensors.values()].map(({dtype}) => dtype))].join(', ');
      const wrong = missing.length + unexpected.length + misshaped.length;
      const shown = [...missing, ...unexpected, ...misshaped.map(one => one.name)].slice(0, 3).join(', ');
      return wrong === 0
        ? dtypes
        : `${dtypes}; ${missing.length} missing, ${unexpected.length} unexpected, ${misshaped.length} of the wrong shape (${shown})`;
    });
    rows.push([name, number(parameters), number(tensors), state]);
  };
  const video = unet && temporal && new UNet({...unet.config, temporal: temporal.config});
  await add('unet', unet, unet && new UNet(unet.config));
  await add('temporal layers', temporal, video, 'temporal');
  await add('autoencoder', vae, vae && new AutoencoderKL(vae.config));
  await add('text encoder', text, text && new TextEncoder(text.config));
  await add("temporal layers' text encoder", temporalText, temporalText && new TextEncoder(temporalText.config));
  return [
    `models in ${folder}`,
    table(['part', 'parameters', 'tensors', 'stored as'], rows),
    diffusion
      ? `predicts ${diffusion.prediction}; ${diffusion.schedule.kind} noise schedule from ${diffusion.schedule.betaStart} to ${diffusion.schedule.betaEnd}`
      : 'no noise schedule (scheduler/scheduler_config.json)',
    ...(text && !tokenizer ? ['no tokenizer/: captions cannot be used'] : []),
  ].join('\n');
}

/** A safetensors file: what kind it is, and its tensors by type and by the first part of their names. */
export async function inspectSafetensors(file: string): Promise<string> {
  const open = await openSafetensors(file);
  try {
    const kind = kindOf(open);
    const groups = new Map<string, {tensors: number; parameters: number; dtypes: Set<string>}>();
    for (const [name, {shape, dtype}] of open.tensors) {
      const key = name
        .split('.')
        .slice(0, kind ? 2 : 1)
        .join('.');
      const group = groups.get(key) ?? {tensors: 0, parameters: 0, dtypes: new Set()};
      group.tensors += 1;
      group.parameters += elements(shape);
      group.dtypes.add(dtype);
      groups.set(key, group);
    }
    const rows = [...groups].sort(([, a], [, b]) => b.parameters - a.parameters).slice(0, 40);
    const total = [...groups.values()].reduce((sum, {parameters}) => sum + parameters, 0);
    return [
      `${file}: ${kind ?? 'no model that is known here'}, ${number(open.tensors.size)} tensors, ${number(total)} elements`,
      table(
        ['names', 'elements', 'tensors', 'stored as'],
        rows.map(([name, {parameters, tensors, dtypes}]) => [
          name,
          number(parameters),
          number(tensors),
          [...dtypes].join(', '),
        ]),
      ),
    ].join('\n');
  } finally {
    await open.close();
  }
}

function kindOf(open: Awaited<ReturnType<typeof openSafetensors>>): string | undefined {
  try {
    const {kind, parts} = splitSingleFile(open, {allowUnexpected: true});
    return `single file of ${kind.model} (${Object.keys(parts).join(', ')})`;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
