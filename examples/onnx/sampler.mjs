// Samples a video with an ONNX runtime alone: onnxruntime-node and onnxruntime-web offer the same two classes, given as `ort`.
// Everything that is not the networks is here: noise, the sampler's table of steps, guidance, pixels to bytes.
import {conditionArrays} from '../../dist/src/models/condition_arrays.js';
import {normals} from '../../dist/src/random/index.js';

/**
 * @param {object} ort onnxruntime-node's or onnxruntime-web's module
 * @param {object} pipeline the contents of pipeline.json
 * @param {(file: string) => Promise<object>} open gives the session of a file of the pipeline
 * @param {{seed: number, conditions?: object, guidanceScale?: number, onStep?: (done: number, all: number) => void | Promise<void>}} options
 *   conditions: what the video is to show, as far as the model was trained with it, such as
 *   {text: 'a boat', labels: {night: 1}, boxes: [{class: 'car', corners: [0, 0, 0.5, 1]}], fps: 8}
 * @returns {Promise<{frames: Uint8Array, count: number, height: number, width: number}>} RGB frames
 */
export async function sampleVideo(ort, pipeline, open, options) {
  const {latents: shape, steps, scaleFactor, givenChannels} = pipeline;
  const {seed, conditions = {}, guidanceScale = pipeline.guidanceScale, onStep} = options;
  const size = shape.reduce((a, b) => a * b, 1);
  const float = (data, dims) => new ort.Tensor('float32', data, dims);
  const unet = await open(pipeline.unet);
  const wanted = await encodeConditions(ort, pipeline, open, conditions);
  const guided = pipeline.conditions !== undefined && guidanceScale !== 1;
  const empty = guided ? await encodeConditions(ort, pipeline, open, {}) : undefined;
  // No frames are given: zeros.
  const given = givenChannels && [1, ...shape.slice(0, -1), givenChannels];
  const fixed = given ? {given: float(new Float32Array(given.reduce((a, b) => a * b, 1)), given)} : {};

  // The same place of the stream as the library's sampler: the same seed gives the same video.
  let latents = normals({seed, stream: 'sampling', step: 0}, size);
  const predict = async (timestep, encoded) => {
    const feeds = {latents: float(latents, [1, ...shape]), timesteps: float(Float32Array.of(timestep), [1])};
    return (await unet.run({...feeds, ...fixed, ...encoded})).prediction.data;
  };
  for (const [i, {timestep, x, output}] of steps.entries()) {
    const prediction = await predict(timestep, wanted);
    const unconditional = guided ? await predict(timestep, empty) : undefined;
    latents = latents.map((value, k) => {
      const p = unconditional ? unconditional[k] + guidanceScale * (prediction[k] - unconditional[k]) : prediction[k];
      return x * value + output * p;
    });
    await onStep?.(i + 1, steps.length);
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

/** What the UNet takes of the conditions: tokens (`context`) and the frame rate (`addedNumbers`). */
async function encodeConditions(ort, pipeline, open, conditions) {
  if (!pipeline.conditions) {
    if (Object.keys(conditions).length > 0) throw new Error('This model is unconditional: it knows no conditions.');
    return {};
  }
  const {file, config} = pipeline.conditions;
  const {fps, ...arrays} = conditionArrays(config)([conditions]);
  const tensor = ({dtype, shape, data}) => new ort.Tensor(dtype, data, shape);
  const inputs = Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, tensor(array)]));
  const {context} = file ? await (await open(file)).run(inputs) : {};
  return {...(context ? {context} : {}), ...(fps ? {addedNumbers: tensor(fps)} : {})};
}
