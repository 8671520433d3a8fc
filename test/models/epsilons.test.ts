// Every norm's epsilon: 1e-5 in the UNet's residual blocks, output and LayerNorms, 1e-6 in its transformers' GroupNorm and all
// over the autoencoder but in its decoder's blocks over time, 1e-5 in the text encoders.
import {expect, test} from 'vitest';
import type {Block} from '../../src/layers/block.ts';
import {GroupNorm, LayerNorm} from '../../src/layers/norms.ts';
import {
  AutoencoderKL,
  autoencoderPresets,
  TextEncoder,
  textEncoderPresets,
  UNet,
  unetPresets,
  videoLdmTemporal,
} from '../../src/models/index.ts';

interface Norm {
  path: string;
  epsilon: number;
  kind: 'group' | 'layer';
}

function norms(model: Block): Norm[] {
  return model.descendants().flatMap(({path, block}): Norm[] => {
    if (block instanceof GroupNorm) return [{path, epsilon: block.options.epsilon, kind: 'group'}];
    if (block instanceof LayerNorm) return [{path, epsilon: block.options.epsilon ?? 1e-5, kind: 'layer'}];
    return [];
  });
}

test.each(['sd1', 'sd2', 'x4-upscaler'] as const)('UNet %s', name => {
  const found = norms(new UNet({...unetPresets[name], temporal: videoLdmTemporal}));
  // 22 residual blocks with 2 norms, in space and time, 16 transformers, the output.
  expect(found.filter(({kind}) => kind === 'group').length).toBe(22 * 4 + 16 + 1);
  expect(found.filter(({kind}) => kind === 'layer').length).toBe(16 * (3 + 4));
  for (const {path, epsilon, kind} of found) {
    const transformer = kind === 'group' && /attentions\.\d+\.norm$/.test(path);
    expect(epsilon, path).toBe(transformer ? 1e-6 : 1e-5);
  }
});

test('autoencoder', () => {
  const temporalDecoder = {kernel: [3, 1, 1], alpha: {kind: 'learned', init: 0, per: 'layer'}} as const;
  const found = norms(new AutoencoderKL({...autoencoderPresets['sd-f8'], temporalDecoder}));
  expect(found.length).toBeGreaterThan(40);
  for (const {path, epsilon} of found) expect(epsilon, path).toBe(path.includes('temporal_res_block') ? 1e-5 : 1e-6);
});

test('text encoders', () => {
  for (const config of Object.values(textEncoderPresets)) {
    const found = norms(new TextEncoder(config));
    expect(found.length).toBe(2 * config.layers + 1);
    for (const {path, epsilon} of found) expect(epsilon, path).toBe(1e-5);
  }
});
