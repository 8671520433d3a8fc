// The page: a seed, a button, the steps going by, then the video in a loop. `?seed=7` in the address starts at once.
import * as ort from '/onnxruntime/ort.webgpu.min.mjs';
import {sampleVideo} from '/sampler/examples/onnx/sampler.mjs';

const form = document.querySelector('form');
const button = document.querySelector('button');
const canvas = document.querySelector('canvas');
const progress = document.querySelector('progress');
const status = document.querySelector('#status');

ort.env.wasm.wasmPaths = '/onnxruntime/';
ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? navigator.hardwareConcurrency : 1;

const pipeline = await (await fetch('/pipeline/pipeline.json')).json();
const executionProviders = (await navigator.gpu?.requestAdapter()) ? ['webgpu', 'wasm'] : ['wasm'];
const sessions = new Map();
let timer;

async function open(file) {
  if (!sessions.has(file)) {
    status.textContent = `Loading ${file} ...`;
    sessions.set(file, await ort.InferenceSession.create(`/pipeline/${file}`, {executionProviders}));
  }
  return sessions.get(file);
}

/** Shows frames on the canvas, one after another, until the next video. */
function play({frames, count, height, width}) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  const images = Array.from({length: count}, (_, t) => {
    const image = context.createImageData(width, height);
    for (let p = 0; p < width * height; p++) {
      const from = (t * width * height + p) * 3;
      image.data.set([frames[from], frames[from + 1], frames[from + 2], 255], p * 4);
    }
    return image;
  });
  let t = 0;
  const show = () => context.putImageData(images[t++ % count], 0, 0);
  show();
  timer = setInterval(show, 1000 / pipeline.framesPerSecond);
}

async function sample(seed) {
  clearInterval(timer);
  button.disabled = true;
  try {
    const started = performance.now();
    const onStep = async (done, all) => {
      progress.max = all;
      progress.value = done;
      status.textContent = `Step ${done} of ${all}`;
      await new Promise(resolve => setTimeout(resolve)); // let the page draw
    };
    const video = await sampleVideo(ort, pipeline, open, {seed, onStep});
    play(video);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const mean = video.frames.reduce((sum, v) => sum + v, 0) / video.frames.length;
    status.textContent = `Seed ${seed}: ${video.count} frames of ${video.width}x${video.height}, mean ${mean.toFixed(3)}, ${seconds} s on ${executionProviders[0]}.`;
  } catch (error) {
    status.textContent = `It failed: ${error.message}`;
  } finally {
    button.disabled = false;
  }
}

form.addEventListener('submit', event => {
  event.preventDefault();
  void sample(Number(form.seed.value));
});

const asked = new URLSearchParams(location.search).get('seed');
if (asked !== null) {
  form.seed.value = asked;
  await sample(Number(asked));
}
