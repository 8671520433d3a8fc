// What a video UNet promises: image mode is the image model, parts are separate, options do what they say.
import '@tensorflow/tfjs-backend-cpu';
import {beforeAll, describe, expect, test} from 'vitest';
import {countPart, UNet, type UNetConfig} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import * as tf from '../../src/tf.ts';
import {bytes, random, shake, tinyTemporal, tinyUNet} from './tiny.ts';

beforeAll(() => tf.setBackend('cpu'));

const [B, T, H, W] = [2, 3, 6, 4];
const video = () => ({
  latents: random<tf.Rank.R5>(B, T, H, W, 4),
  timesteps: tf.tensor1d([17, 801]),
  context: random<tf.Rank.R3>(B, 5, 6),
});

function built(config: UNetConfig, seed = 1): UNet {
  const unet = new UNet(config).allocate(seed);
  shake(
    new Map(
      [...unet.namedWeights()].filter(([path]) => /conv2|context_proj/.test(path) && /temporal|context/.test(path)),
    ),
  );
  return unet;
}

/** Each frame of [B,T,...] as an image of its own, and what belongs to its video with it. */
function asImages({latents, timesteps, context}: ReturnType<typeof video>) {
  return {
    latents: tf.reshape(latents, [B * T, H, W, 4]) as tf.Tensor4D,
    timesteps: tf.tensor1d([...timesteps.dataSync()].flatMap(t => Array<number>(T).fill(t))),
    context: tf.concat(
      tf.split(context, B).flatMap(one => Array<tf.Tensor3D>(T).fill(one as tf.Tensor3D)),
    ) as tf.Tensor3D,
  };
}

describe('image mode', () => {
  test('equals the image model on the frames as one batch, bit for bit, and runs the same kernels', async () => {
    const unet = built({...tinyUNet, temporal: tinyTemporal});
    const image = new UNet(tinyUNet).allocate(1);
    const inputs = video();
    const kernels = async (run: () => tf.Tensor) => {
      let result: tf.Tensor | undefined;
      const {kernels: list} = await tf.profile(() => {
        result = run();
        return result;
      });
      return {
        names: list.map(kernel => kernel.name).filter(name => !['Reshape', 'Tile', 'Identity'].includes(name)),
        y: result!,
      };
    };
    const a = await kernels(() => unet.forward({...inputs, mode: 'image'}));
    const frames = asImages(inputs);
    const b = await kernels(() => image.forward(frames));
    expect(a.y.shape).toEqual([B, T, H, W, 4]);
    expect(bytes(a.y)).toEqual(bytes(b.y));
    expect(a.names).toEqual(b.names);
    const c = await kernels(() => unet.forward(inputs));
    expect(c.names.length).toBeGreaterThan(a.names.length);
    expect(bytes(c.y)).not.toEqual(bytes(a.y));
  });

  test('spatial weights start the same with and without temporal layers', () => {
    const unet = new UNet({...tinyUNet, temporal: tinyTemporal}).allocate(5);
    const all = unet.namedWeights();
    for (const [path, weight] of new UNet(tinyUNet).allocate(5).namedWeights())
      expect(bytes(all.get(path)!)).toEqual(bytes(weight));
  });
});

describe('parts', () => {
  test('names of temporal weights are those of Stable Video Diffusion', () => {
    const unet = new UNet({...tinyUNet, temporal: tinyTemporal});
    const temporal = unet
      .weightSpecs()
      .filter(spec => spec.part === 'temporal')
      .map(spec => spec.path);
    const spatial = unet
      .weightSpecs()
      .filter(spec => spec.part === 'spatial')
      .map(spec => spec.path);
    expect(temporal.every(path => /temporal_|time_mixer|time_pos_embed/.test(path))).toBe(true);
    expect(spatial.some(path => /temporal|time_mixer|time_pos/.test(path))).toBe(false);
    expect(temporal).toContain('down_blocks.0.resnets.0.temporal_res_block.conv1.weight');
    expect(temporal).toContain('mid_block.attentions.0.temporal_transformer_blocks.0.ff_in.net.0.proj.weight');
    expect(temporal).toContain('mid_block.attentions.0.time_mixer.mix_factor');
    expect(new Set([...temporal, ...spatial]).size).toBe(temporal.length + spatial.length);
  });

  test('freezing reaches every weight, and either part can train alone', () => {
    const unet = new UNet({...tinyUNet, temporal: tinyTemporal}).allocate(1);
    expect(unet.trainableWeights.length).toBe(unet.weights.length);
    unet.trainable = false;
    expect(unet.trainableWeights).toEqual([]);
    expect([...unet.namedWeights().values()].some(variable => variable.trainable)).toBe(false);
    unet.trainWhere(({part}) => part === 'temporal');
    const names = [...unet.trainableNamedWeights().keys()];
    expect(names.length).toBe(countPart(unet, 'temporal').tensors);
    expect(unet.trainableWeights.length).toBe(names.length);
    const {grads} = tf.variableGrads(() => tf.mean(tf.square(unet.forward(video()))));
    expect(Object.keys(grads).length).toBe(names.length);
  });
});

describe('options', () => {
  test.each([
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ])('conv %s, attention %s', (conv, attention) => {
    const unet = built({...tinyUNet, temporal: {...tinyTemporal, conv, attention}});
    const paths = unet.weightSpecs().map(spec => spec.path);
    expect(paths.some(path => path.includes('temporal_res_block'))).toBe(conv);
    expect(paths.some(path => path.includes('temporal_transformer'))).toBe(attention);
    const inputs = video();
    const same = bytes(unet.forward(inputs)) === bytes(unet.forward({...inputs, mode: 'image'}));
    if (conv || attention) expect(same).toBe(false);
  });

  test('a fixed alpha of 1 gives what the image model gives', () => {
    const unet = built({...tinyUNet, temporal: {...tinyTemporal, alpha: {kind: 'fixed', init: 1, per: 'layer'}}});
    const inputs = video();
    const difference = tf
      .max(tf.abs(tf.sub(unet.forward(inputs), unet.forward({...inputs, mode: 'image'}))))
      .dataSync()[0]!;
    expect(difference).toBeLessThan(1e-5);
  });

  test('an alpha for every frame mixes each frame by its own', () => {
    const unet = built({
      ...tinyUNet,
      temporal: {...tinyTemporal, alpha: {kind: 'learned', init: 0, per: 'frame', frames: T}},
    });
    const inputs = video();
    const frame = (y: tf.Tensor5D, t: number) => bytes(tf.slice(y, [0, t, 0, 0, 0], [B, 1, H, W, 4]));
    // sigmoid(40) is 1 in float32: the last resnet's first frame is its spatial branch alone.
    const factor = unet.namedWeights().get('up_blocks.1.resnets.1.time_mixer.mix_factor')!;
    expect(factor.shape).toEqual([T]);
    const before = unet.forward(inputs);
    factor.assign(tf.tensor1d([40, 0, 0]));
    const after = unet.forward(inputs);
    expect(frame(after, 0)).not.toEqual(frame(before, 0));
    expect(frame(after, 1)).toEqual(frame(before, 1));
    expect(() => unet.forward({...inputs, latents: random<tf.Rank.R5>(B, T + 1, H, W, 4)})).toThrow(
      'one alpha for each of 3 frames',
    );
  });

  test('a window hides distant frames; kernels (3,3,3) see the neighbourhood', () => {
    const only = {...tinyTemporal, conv: false, window: 1};
    const unet = built({...tinyUNet, temporal: only});
    const inputs = video();
    const changed = tf.concat(
      [tf.slice(inputs.latents, [0, 0, 0, 0, 0], [B, 2, H, W, 4]), random<tf.Rank.R5>(B, 1, H, W, 4)],
      1,
    );
    const first = (y: tf.Tensor5D) => bytes(tf.slice(y, [0, 0, 0, 0, 0], [B, 1, H, W, 4]));
    // One attention layer on the way down, one in the middle: frame 2 reaches frame 0 in two steps, not where one is left.
    expect(first(unet.forward({...inputs, latents: changed as tf.Tensor5D}))).not.toEqual(first(unet.forward(inputs)));
    const alone = built({...tinyUNet, temporal: {...only, window: 0}});
    expect(first(alone.forward({...inputs, latents: changed as tf.Tensor5D}))).toEqual(first(alone.forward(inputs)));
    const wide = built({...tinyUNet, temporal: {...tinyTemporal, kernel: [3, 3, 3]}});
    expect(
      wide
        .weightSpecs()
        .find(spec => spec.path.endsWith('temporal_res_block.conv1.weight'))!
        .shape.slice(0, 3),
    ).toEqual([3, 3, 3]);
    expect(wide.forward(inputs).shape).toEqual([B, T, H, W, 4]);
  });

  test('a second text context reaches the temporal layers only', () => {
    const unet = built({...tinyUNet, temporal: {...tinyTemporal, contextDim: 10}});
    const inputs = video();
    const [a, b] = [random<tf.Rank.R3>(B, 4, 10), random<tf.Rank.R3>(B, 4, 10)];
    expect(bytes(unet.forward({...inputs, temporalContext: a}))).not.toEqual(
      bytes(unet.forward({...inputs, temporalContext: b})),
    );
    expect(bytes(unet.forward({...inputs, temporalContext: a, mode: 'image'}))).toEqual(
      bytes(unet.forward({...inputs, mode: 'image'})),
    );
  });

  test('given frames: nothing at first, nothing when absent, zeros when all is unknown', () => {
    const config = {...tinyUNet, temporal: {...tinyTemporal, given: {inputs: 5, channels: 4}}};
    const plain = new UNet({...tinyUNet, temporal: tinyTemporal}).allocate(1);
    const fresh = new UNet(config).allocate(1);
    const inputs = video();
    const given = random<tf.Rank.R5>(B, T, H, W, 5);
    expect(bytes(fresh.forward({...inputs, given}))).toEqual(bytes(plain.forward(inputs)));
    const learned = built(config);
    expect(bytes(learned.forward({...inputs, given}))).not.toEqual(bytes(learned.forward(inputs)));
    expect(bytes(learned.forward({...inputs, given: tf.zerosLike(given)}))).toEqual(bytes(learned.forward(inputs)));
    expect(bytes(learned.forward({...inputs, given, mode: 'image'}))).toEqual(
      bytes(learned.forward({...inputs, mode: 'image'})),
    );
  });

  test('class labels and added numbers change the answer; a missing one is asked for', () => {
    const unet = built({...tinyUNet, classEmbedding: 3, addedNumbers: {count: 2, dim: 4}, temporal: tinyTemporal});
    const inputs = {
      ...video(),
      classLabels: tf.tensor1d([0, 2], 'int32'),
      addedNumbers: tf.tensor2d([
        [7, 1],
        [7, 0],
      ]),
    };
    const y = bytes(unet.forward(inputs));
    expect(bytes(unet.forward({...inputs, classLabels: tf.tensor1d([0, 1], 'int32')}))).not.toEqual(y);
    expect(
      bytes(
        unet.forward({
          ...inputs,
          addedNumbers: tf.tensor2d([
            [8, 1],
            [7, 0],
          ]),
        }),
      ),
    ).not.toEqual(y);
    expect(() => unet.forward(video())).toThrow('classLabels');
  });

  test('without a text: no cross-attention, any size, odd ones too', () => {
    const {crossAttentionDim: _, ...unconditional} = tinyUNet;
    const unet = built({...unconditional, temporal: tinyTemporal});
    expect(unet.weightSpecs().some(spec => spec.path.includes('attn2'))).toBe(false);
    const y = unet.forward({latents: random<tf.Rank.R5>(1, 2, 5, 7, 4), timesteps: tf.tensor1d([3])});
    expect(y.shape).toEqual([1, 2, 5, 7, 4]);
  });

  test('configurations that do not fit are refused by field', () => {
    expect(() => new UNet({...tinyUNet, attention: [true]})).toThrow(UserError);
    expect(() => new UNet({...tinyUNet, attention: [true]})).toThrow('unet.attention has 1 entries');
    expect(() => new UNet({...tinyUNet, normGroups: 5})).toThrow('unet.normGroups 5');
    expect(() => new UNet({...tinyUNet, heads: {count: 3}})).toThrow('3 heads');
  });
});

test('getConfig gives the same model again, and no tensor is left behind', () => {
  const before = tf.memory().numTensors;
  const unet = new UNet({...tinyUNet, temporal: {...tinyTemporal, window: 4}});
  const again = UNet.fromConfig(
    UNet as unknown as tf.serialization.SerializableConstructor<UNet>,
    JSON.parse(JSON.stringify(unet.getConfig())),
  );
  expect(again.weightSpecs()).toEqual(unet.weightSpecs());
  expect(again.config).toEqual(unet.config);
  unet.allocate(3);
  tf.tidy(() => void unet.forward(video()));
  unet.dispose();
  expect(tf.memory().numTensors).toBe(before);
});
