// Reads clips of one's own shards, and shows the first batch as a contact sheet: tsx examples/read_shards.ts 'shards/train-000000.tar'
import {batches, writeContactSheet} from 'video-ldm/datasets';

const [shards = 'runs/quickstart/shards/train-000000.tar'] = process.argv.slice(2);
for await (const batch of batches({shards, frames: 8, width: 64, height: 64, batchSize: 4}, {seed: 1})) {
  const [count, t, h, w] = batch.shape;
  const size = t * h * w * 3;
  const rows = Array.from({length: count}, (_, i) => ({
    frames: {data: batch.frames.subarray(i * size, (i + 1) * size), shape: [t, h, w, 3] as const},
    label: batch.keys[i] ?? '',
  }));
  console.log(await writeContactSheet('batch.png', rows), `resume after it with ${JSON.stringify(batch.position)}`);
  break;
}
