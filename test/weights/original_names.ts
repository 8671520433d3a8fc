// The names of original single-file checkpoints, written down the way the original model is built (blocks counted through),
// independently of the key maps that read them.

const resnet = {
  norm1: 'in_layers.0',
  conv1: 'in_layers.2',
  time_emb_proj: 'emb_layers.1',
  norm2: 'out_layers.0',
  conv2: 'out_layers.3',
  conv_shortcut: 'skip_connection',
} as const;

/** diffusers UNet weight -> its name below `model.diffusion_model.`, four levels of two layers. */
export function originalUNetName(path: string, attention: readonly boolean[]): string {
  const table: Record<string, string> = {
    'time_embedding.linear_1': 'time_embed.0',
    'time_embedding.linear_2': 'time_embed.2',
    class_embedding: 'label_emb',
    conv_in: 'input_blocks.0.0',
    conv_norm_out: 'out.0',
    conv_out: 'out.2',
    'mid_block.attentions.0': 'middle_block.1',
  };
  const residual = (at: string, diffusers: string) => {
    for (const [name, original] of Object.entries(resnet)) table[`${diffusers}.${name}`] = `${at}.${original}`;
  };
  residual('middle_block.0', 'mid_block.resnets.0');
  residual('middle_block.2', 'mid_block.resnets.1');
  let input = 1;
  for (let level = 0; level < 4; level++) {
    for (let layer = 0; layer < 2; layer++, input++) {
      residual(`input_blocks.${input}.0`, `down_blocks.${level}.resnets.${layer}`);
      table[`down_blocks.${level}.attentions.${layer}`] = `input_blocks.${input}.1`;
    }
    if (level < 3) table[`down_blocks.${level}.downsamplers.0.conv`] = `input_blocks.${input++}.0.op`;
  }
  for (let up = 0, output = 0; up < 4; up++) {
    const attends = attention[3 - up];
    for (let layer = 0; layer < 3; layer++, output++) {
      residual(`output_blocks.${output}.0`, `up_blocks.${up}.resnets.${layer}`);
      table[`up_blocks.${up}.attentions.${layer}`] = `output_blocks.${output}.1`;
      if (layer === 2 && up < 3)
        table[`up_blocks.${up}.upsamplers.0.conv`] = `output_blocks.${output}.${attends ? 2 : 1}.conv`;
    }
  }
  return replaced(path, table);
}

/** diffusers autoencoder weight -> its name below `first_stage_model.`. */
export function originalVaeName(path: string, levels: number): string {
  const table: Record<string, string> = {};
  for (const side of ['encoder', 'decoder']) {
    table[`${side}.conv_norm_out`] = `${side}.norm_out`;
    table[`${side}.mid_block.resnets.0`] = `${side}.mid.block_1`;
    table[`${side}.mid_block.resnets.1`] = `${side}.mid.block_2`;
    const attention = `${side}.mid_block.attentions.0`;
    table[`${attention}.group_norm`] = `${side}.mid.attn_1.norm`;
    for (const letter of ['q', 'k', 'v']) table[`${attention}.to_${letter}`] = `${side}.mid.attn_1.${letter}`;
    table[`${attention}.to_out.0`] = `${side}.mid.attn_1.proj_out`;
  }
  for (let level = 0; level < levels; level++) {
    for (let layer = 0; layer < 3; layer++) {
      table[`encoder.down_blocks.${level}.resnets.${layer}`] = `encoder.down.${level}.block.${layer}`;
      table[`decoder.up_blocks.${levels - 1 - level}.resnets.${layer}`] = `decoder.up.${level}.block.${layer}`;
    }
    table[`encoder.down_blocks.${level}.downsamplers.0`] = `encoder.down.${level}.downsample`;
    table[`decoder.up_blocks.${levels - 1 - level}.upsamplers.0`] = `decoder.up.${level}.upsample`;
  }
  return replaced(path, table).replace('.conv_shortcut.', '.nin_shortcut.');
}

/** transformers text weight (without q, k, v projections) -> OpenCLIP's name below `cond_stage_model.model.`. */
export function originalTextName(path: string): string {
  const table: Record<string, string> = {
    'embeddings.token_embedding': 'token_embedding',
    final_layer_norm: 'ln_final',
  };
  for (let i = 0; i < 24; i++) {
    const [from, to] = [`encoder.layers.${i}`, `transformer.resblocks.${i}`];
    table[`${from}.layer_norm1`] = `${to}.ln_1`;
    table[`${from}.layer_norm2`] = `${to}.ln_2`;
    table[`${from}.self_attn.out_proj`] = `${to}.attn.out_proj`;
    table[`${from}.mlp.fc1`] = `${to}.mlp.c_fc`;
    table[`${from}.mlp.fc2`] = `${to}.mlp.c_proj`;
  }
  return path === 'embeddings.position_embedding.weight' ? 'positional_embedding' : replaced(path, table);
}

/** The longest prefix in the table, replaced. */
function replaced(path: string, table: Readonly<Record<string, string>>): string {
  const prefix = Object.keys(table)
    .filter(key => path.startsWith(`${key}.`))
    .sort((a, b) => b.length - a.length)[0];
  return prefix === undefined ? path : table[prefix] + path.slice(prefix.length);
}
