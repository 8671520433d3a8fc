// Layers over time of another folder onto an imported image model (the paper's personalisation, section 4.2.1).
import path from 'node:path';
import {TextEncoder, UNet} from '../../models/index.ts';
import {UserError} from '../../platform/user_error.ts';
import {toSvd} from '../key_maps/diffusers.ts';
import type {WeightSource} from '../load_weights.ts';
import {readModelFolder} from '../model_folder.ts';
import {tokenizerFiles} from './small_files.ts';
import {type Found, type Open, type Source, textName} from './source.ts';
import {textPathOf} from './split_single_file.ts';

/** The source with the layers over time of another folder (the paper's personalisation). */
export async function withTemporal(what: Source, folder: string | undefined, openFile: Open): Promise<Source> {
  if (folder === undefined) return what;
  const {temporal, text, tokenizer, temporalText, temporalTokenizer} = await readModelFolder(folder);
  if (!temporal) throw new UserError(`--temporal ${folder} has no layers over time (temporal/).`);
  const unet = what.found.find(({part}) => part === 'unet')?.model;
  if (!(unet instanceof UNet))
    throw new UserError(`--temporal ${folder} needs a UNet to go onto: the source has none.`);
  const config = {copyOf: path.join(temporal.folder, 'config.json')};
  const found: Found[] = [
    ...what.found,
    {
      part: 'temporal',
      model: new UNet({...unet.config, temporal: temporal.config}),
      wanted: ({part}) => part === 'temporal',
      source: await openFile(temporal.file),
      pathOf: temporal.pathOf,
      config,
      nameOf: toSvd,
    },
  ];
  const [own, ownTokenizer] = temporalText ? [temporalText, temporalTokenizer] : [text, tokenizer];
  const spatial = what.found.find(({part}) => part === 'text_encoder');
  const files = [...what.files];
  if (own && !(spatial && (await sameTensors(spatial.source, await openFile(own.file))))) {
    found.push({
      part: 'temporal_text_encoder',
      model: new TextEncoder(own.config),
      source: await openFile(own.file),
      pathOf: own.pathOf,
      config: {copyOf: path.join(own.folder, 'config.json')},
      nameOf: textName,
    });
    files.push(...tokenizerFiles(ownTokenizer?.folder, 'temporal_tokenizer'));
  }
  return {...what, found, files};
}

/** Whether two text encoders hold the same bytes. */
async function sameTensors(one: WeightSource, other: WeightSource): Promise<boolean> {
  const pathsOf = (source: WeightSource) =>
    new Map([...source.tensors.keys()].flatMap(name => (textPathOf(name) ? [[textPathOf(name)!, name] as const] : [])));
  const [a, b] = [pathsOf(one), pathsOf(other)];
  if (a.size !== b.size) return false;
  for (const [key, name] of a) {
    const match = b.get(key);
    if (match === undefined) return false;
    const [x, y] = [await one.read(name), await other.read(match)];
    if (x.dtype !== y.dtype || !Buffer.from(x.data).equals(y.data)) return false;
  }
  return true;
}
