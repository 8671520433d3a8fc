// The page: a seed, what to show, a button, the steps going by, then the video in a loop. `?seed=7&text=a%20boat` in the address
// starts at once.
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

/** A field for each condition that the model knows; the values of the address are filled in. */
function addFields({text, labels = {}, fps}, address) {
  const place = document.querySelector('#conditions');
  const add = (name, title, input) => {
    const label = document.createElement('label');
    input.name = name;
    label.append(`${title} `, input);
    place.append(label);
    if (address.has(name)) input.value = address.get(name);
  };
  const field = type => Object.assign(document.createElement('input'), {type, step: 'any'});
  if (text) add('text', 'Text', field('text'));
  for (const [name, {values}] of Object.entries(labels)) {
    const choice = values ? document.createElement('select') : field('number');
    if (values) choice.append(...['', ...values].map(value => new Option(String(value))));
    add(`label.${name}`, name, choice);
  }
  if (fps) add('fps', 'Frames per second', field('number'));
}

/** What the fields say; an empty one says nothing. */
function askedFor() {
  const said = [...new FormData(form)].filter(([name, value]) => name !== 'seed' && value !== '');
  const labels = said.filter(([name]) => name.startsWith('label.')).map(([name, value]) => [name.slice(6), value]);
  const {text, fps} = Object.fromEntries(said);
  return {
    ...(text ? {text} : {}),
    ...(labels.length > 0 ? {labels: Object.fromEntries(labels)} : {}),
    ...(fps ? {fps: Number(fps)} : {}),
  };
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
    const video = await sampleVideo(ort, pipeline, open, {seed, conditions: askedFor(), onStep});
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

const address = new URLSearchParams(location.search);
if (pipeline.conditions) addFields(pipeline.conditions.config, address);
const asked = address.get('seed');
if (asked !== null) {
  form.seed.value = asked;
  await sample(Number(asked));
}
