// Features of a pretrained Inception-V3 (npm nsfwjs), and the distance between two sets of images in them. The weights are
// quantised and were fine-tuned for another task: distances rank models of this project, they are not FID or FVD.
import {createRequire} from 'node:module';
import {layers, loadLayersModel, model as makeModel, type SymbolicTensor} from '@tensorflow/tfjs-layers';
import * as tf from '../src/tf.ts';

interface Bundle {
  default: {modelTopology: object; weightsManifest: {weights: tf.io.WeightsManifestEntry[]}[]};
}
interface PackagedModel {
  modelJson(): Promise<Bundle>;
  weightBundles: (() => Promise<{default: string}>)[];
}

const IMAGE_SIZE = 299;

export interface FeatureNet {
  /** Features [N,2048] of uint8 RGB images, row after row. */
  features(images: Uint8Array, shape: readonly [number, number, number, 3]): Promise<Float32Array[]>;
  dispose(): void;
}

export async function loadInception(): Promise<FeatureNet> {
  const {InceptionV3Model} = createRequire(import.meta.url)('nsfwjs/models/inception_v3') as {
    InceptionV3Model: PackagedModel;
  };
  const {default: topology} = await InceptionV3Model.modelJson();
  const parts = await Promise.all(
    InceptionV3Model.weightBundles.map(async load => Buffer.from((await load()).default, 'base64')),
  );
  const bytes = Buffer.concat(parts);
  const whole = await loadLayersModel({
    load: async () => ({
      modelTopology: topology.modelTopology,
      weightSpecs: topology.weightsManifest.flatMap(group => group.weights),
      weightData: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer,
    }),
  });
  const pooled = layers.globalAveragePooling2d({}).apply(whole.getLayer('mixed10').output) as SymbolicTensor;
  const net = makeModel({inputs: whole.inputs, outputs: pooled});
  return {
    async features(images, [count, height, width]) {
      const rows: Float32Array[] = [];
      const size = height * width * 3;
      for (let i = 0; i < count; i++) {
        const row = tf.tidy(() => {
          const image = tf.tensor3d(images.subarray(i * size, (i + 1) * size), [height, width, 3], 'int32');
          const resized = tf.image.resizeBilinear(tf.cast(image, 'float32') as tf.Tensor3D, [IMAGE_SIZE, IMAGE_SIZE]);
          return net.predict(tf.expandDims(tf.div(resized, 255), 0)) as tf.Tensor;
        });
        rows.push((await row.data()) as Float32Array);
        row.dispose();
      }
      return rows;
    },
    dispose: () => whole.dispose(),
  };
}

/** Squared distance between the mean features of two sets. */
export function meanFeatureDistance(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  const mean = (rows: readonly Float32Array[], i: number) => rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length;
  const width = a[0]?.length ?? 0;
  let distance = 0;
  for (let i = 0; i < width; i++) distance += (mean(a, i) - mean(b, i)) ** 2;
  return distance;
}
