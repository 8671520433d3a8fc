// Measures what a training step loses to a checkpoint: milliseconds of copying per GB of state, and how long the thread
// of its own then writes, hashes and verifies. Usage: node scripts/checkpoint_stall.mjs [GB] [FOLDER]   (after npm run build)
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {loadLatest, openCheckpointer} from '../dist/checkpoints/index.js';

const gigabytes = Number(process.argv[2] ?? 1);
const folder = await mkdtemp(path.join(process.argv[3] ?? tmpdir(), 'checkpoint-stall-'));
const perGroup = (gigabytes * 1e9) / 4 / 4;
const shape = [3, 3, 512, 512];
const size = shape.reduce((a, b) => a * b, 1);
const tensors = Math.max(1, Math.round(perGroup / size));
const group = () =>
  new Map(
    Array.from({length: tensors}, (_, i) => [
      `block.${i}.weight`,
      {shape, layout: 'conv2d', data: new Float32Array(size).fill(i)},
    ]),
  );
const state = {
  stage: 'measure',
  step: 0,
  weights: group(),
  ema: group(),
  optimizers: {m: group(), v: group()},
  data: null,
  metrics: {},
  config: null,
  engine: {},
};
const bytes = 4 * 4 * tensors * size;
const checkpointer = await openCheckpointer({folder, keep: {last: 1}});
const timed = async action => {
  const start = performance.now();
  const result = await action();
  return {ms: performance.now() - start, result};
};
try {
  const reserved = await timed(async () => checkpointer.reserve(state));
  console.log(`state ${(bytes / 1e9).toFixed(2)} GB; buffers reserved once in ${reserved.ms.toFixed(0)} ms`);
  for (let save = 1; save <= 4; save++) {
    state.step = save;
    const {ms, result} = await timed(() => checkpointer.save(state));
    const written = await timed(() => checkpointer.flush());
    console.log(
      `save ${save}: step stalled ${ms.toFixed(0)} ms (${((ms * 1e9) / bytes).toFixed(0)} ms/GB; copy ${result.copiedMs.toFixed(0)} ms), ` +
        `written, hashed and verified behind it in ${(written.ms / 1e3).toFixed(1)} s (${((bytes / written.ms) * 1e-6).toFixed(2)} GB/s)`,
    );
  }
  await checkpointer.close();
  const loaded = await timed(() => loadLatest(folder));
  console.log(`verified and loaded step ${loaded.result.state.step} in ${(loaded.ms / 1e3).toFixed(1)} s`);
} finally {
  await rm(folder, {recursive: true});
}
