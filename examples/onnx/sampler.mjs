// Samples a video with an ONNX runtime alone: onnxruntime-node and onnxruntime-web offer the same two classes, given as `ort`.
// Everything that is not the networks is here: noise, the sampler's table of steps, guidance, pixels to bytes.
import {normals} from '../../dist/src/random/index.js';

/**
 * @param {object} ort onnxruntime-node's or onnxruntime-web's module
 * @param {object} pipeline the contents of pipeline.json
 * @param {(file: string) => Promise<object>} open gives the session of a file of the pipeline
 * @param {{seed: number, ids?: number[], emptyIds?: number[], onStep?: (done: number, all: number) => void | Promise<void>}} options
 *   ids: token ids of the text, where the pipeline has a text encoder; emptyIds: those of no text, for guidance
 * @returns {Promise<{frames: Uint8Array, count: number, height: number, width: number}>} RGB frames
 */
export async function sampleVideo(ort, pipeline, open, options) {
  const {latents: shape, steps, scaleFactor, guidanceScale} = pipeline;
  const size = shape.reduce((a, b) => a * b, 1);
  const float = (data, dims) => new ort.Tensor('float32', data, dims);
  const unet = await open(pipeline.unet);
  const context = pipeline.text ? await encodeText(ort, await open(pipeline.text), options.ids) : undefined;
  const guided = context && guidanceScale !== 1;
  const empty = guided ? await encodeText(ort, await open(pipeline.text), options.emptyIds) : undefined;

  // The same place of the stream as the library's sampler: the same seed gives the same video.
  let latents = normals({seed: options.seed, stream: 'sampling', step: 0}, size);
  const predict = async (timestep, text) => {
    const feeds = {latents: float(latents, [1, ...shape]), timesteps: float(Float32Array.of(timestep), [1])};
    if (text) feeds.context = text;
    return (await unet.run(feeds)).prediction.data;
  };
  for (const [i, {timestep, x, output}] of steps.entries()) {
    const prediction = await predict(timestep, context);
    const unconditional = guided ? await predict(timestep, empty) : undefined;
    latents = latents.map((value, k) => {
      const p = unconditional ? unconditional[k] + guidanceScale * (prediction[k] - unconditional[k]) : prediction[k];
      return x * value + output * p;
    });
    await options.onStep?.(i + 1, steps.length);
  }

  const decoder = await open(pipeline.decoder);
  const raw = latents.map(v => v / scaleFactor);
  // A decoder over time takes [1, T, h, w, C], any other the frames as images.
  const dims = pipeline.decoderTakesClips ? [1, ...shape] : shape.length === 4 ? shape : [1, ...shape];
  const {pixels} = await decoder.run({rawLatents: float(raw, dims)});
  const [height, width] = pixels.dims.slice(-3);
  const frames = Uint8Array.from(pixels.data, v => Math.round(Math.min(Math.max((v + 1) * 127.5, 0), 255)));
  return {frames, count: frames.length / (height * width * 3), height, width};
}

async function encodeText(ort, encoder, ids) {
  if (!ids) throw new Error('This pipeline needs token ids of a text.');
  const {hidden} = await encoder.run({ids: new ort.Tensor('int32', Int32Array.from(ids), [1, ids.length])});
  return hidden;
}
