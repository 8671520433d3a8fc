// A process that does nothing but write checkpoints, one after another, until it is killed.
// Arguments: the compiled checkpoints/index.js, the compiled src/random/index.js, the run folder, `direct` or `thread`.
const [checkpointsUrl, randomUrl, run, mode] = process.argv.slice(2);
const {loadLatest, lockRun, openCheckpointer, removeUnfinished, prune, writeCheckpoint} = await import(checkpointsUrl);
const {normals} = await import(randomUrl);

const stateAt = step => ({
  stage: 'test',
  step,
  weights: new Map([
    ['a.weight', {shape: [64, 128], layout: 'linear', data: normals({seed: 1, stream: 1, step}, 8192)}],
    ['b.bias', {shape: [10], layout: 'vector', data: normals({seed: 1, stream: 2, step}, 10)}],
  ]),
  ema: new Map([['b.bias', {shape: [10], layout: 'vector', data: normals({seed: 1, stream: 3, step}, 10)}]]),
  optimizers: {
    main: new Map([['m.b.bias', {shape: [10], layout: 'vector', data: normals({seed: 1, stream: 4, step}, 10)}]]),
  },
  data: step,
  metrics: {},
  config: null,
  engine: {},
});

await lockRun(run);
const folder = `${run}/checkpoints`;
const start = (await loadLatest(folder))?.state.step ?? 0;
const keep = {last: 2};
process.stdout.write(`start ${start}\n`);
if (mode === 'direct') {
  await removeUnfinished(folder);
  for (let step = start + 1; ; step++) {
    const {name} = await writeCheckpoint(folder, stateAt(step), {maxShardBytes: 20_000});
    process.stdout.write(`saved ${step}\n`);
    await prune(folder, keep, name);
  }
} else {
  const onWritten = ({step}) => process.stdout.write(`saved ${step}\n`);
  const checkpointer = await openCheckpointer({folder, keep, onWritten});
  for (let step = start + 1; ; step++) await checkpointer.save(stateAt(step));
}
