// node examples/onnx/sample.mjs FOLDER [SEED] [OUT.ppm] [CONDITIONS]: samples a video from an exported pipeline in plain Node.
// TensorFlow.js is not loaded. The frames are written side by side as one PPM image. CONDITIONS is JSON: '{"text": "a boat"}'.
import {readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import ort from 'onnxruntime-node';
import {sampleVideo} from './sampler.mjs';

const [folder, seed = '0', out = 'sample.ppm', asked = '{}'] = process.argv.slice(2);
if (!folder) {
  process.stderr.write('Give the folder of an exported pipeline: the one that holds pipeline.json.\n');
  process.exit(1);
}
const pipeline = JSON.parse(await readFile(path.join(folder, 'pipeline.json'), 'utf8'));
const sessions = new Map();
const open = async file => {
  if (!sessions.has(file)) sessions.set(file, await ort.InferenceSession.create(path.join(folder, file)));
  return sessions.get(file);
};
const onStep = (done, all) => process.stderr.write(`\rstep ${done}/${all}`);
const {frames, count, height, width} = await sampleVideo(ort, pipeline, open, {
  seed: Number(seed),
  conditions: JSON.parse(asked),
  onStep,
});
process.stderr.write('\n');

const strip = new Uint8Array(frames.length);
for (let t = 0; t < count; t++) {
  for (let y = 0; y < height; y++) {
    const row = frames.subarray((t * height + y) * width * 3, (t * height + y + 1) * width * 3);
    strip.set(row, (y * count + t) * width * 3);
  }
}
await writeFile(out, Buffer.concat([Buffer.from(`P6 ${count * width} ${height} 255\n`), strip]));
process.stdout.write(`${out}: ${count} frames of ${width}x${height}\n`);
