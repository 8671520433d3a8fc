// A training step of our UNet beside PyTorch's on the same weights and batch, as JSON:
//   node --import tsx scripts/benchmark/against_pytorch.ts [--sizes tiny,small] [--rounds 5] [--steps 3] [--python python3] [--threads 1,2] [--layouts contiguous]
// Each side first finds its best setting (threads; for PyTorch the memory layout too); then they take turns. Ratios are of
// medians, and of the fastest steps for a machine that has other work; none is printed where the first losses differ by
// more than 1e-4.
import {mkdtemp, rm} from 'node:fs/promises';
import {availableParallelism, cpus, tmpdir} from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {caseOf, type SizeName, writeCase} from './cases.ts';
import {best, ourSide, pytorchSide, takeTurns} from './worker.ts';

const {values: options} = parseArgs({
  options: {
    sizes: {type: 'string', default: 'tiny,small'},
    rounds: {type: 'string', default: '5'},
    steps: {type: 'string', default: '3'},
    python: {type: 'string', default: 'python3'},
    threads: {type: 'string'},
    layouts: {type: 'string', default: 'channels_last,contiguous'},
  },
});
const [rounds, stepsPerTurn] = [Number(options.rounds), Number(options.steps)];
const threadCounts = options.threads
  ? options.threads.split(',').map(Number)
  : [...new Set([1, availableParallelism()])];

const ours = (folder: string, threads: number) => ourSide(folder, '--threads', String(threads));
const theirs = (folder: string, threads: number, layout: string) =>
  pytorchSide(options.python, folder, '--threads', String(threads), '--layout', layout);

async function compare(size: SizeName): Promise<object> {
  const folder = await mkdtemp(path.join(tmpdir(), 'video-ldm-benchmark-'));
  try {
    const chosen = caseOf(size);
    await writeCase(folder, chosen);
    const layouts = options.layouts.split(',');
    const workers = [
      await best(
        threadCounts.map(threads => () => ours(folder, threads)),
        stepsPerTurn,
      ),
      await best(
        threadCounts.flatMap(n => layouts.map(layout => () => theirs(folder, n, layout))),
        stepsPerTurn,
      ),
    ];
    const [us, them] = await takeTurns(workers, rounds, stepsPerTurn);
    const lossDifference = Math.abs(us!.firstLoss - them!.firstLoss);
    const ratios = {
      ratio: us!.medianMs / them!.medianMs,
      ratioOfFastest: us!.fastestMs / them!.fastestMs,
      ratioOfProcessorTime: us!.processorMs / them!.processorMs,
    };
    const verdict =
      lossDifference <= 1e-4 ? ratios : {refused: 'the first losses differ by more than 1e-4: no ratio is given'};
    return {size, ...chosen.batch, ours: us, pytorch: them, lossDifference, ...verdict};
  } finally {
    await rm(folder, {recursive: true, force: true});
  }
}

const results: object[] = [];
for (const size of options.sizes.split(',')) {
  console.error(`${size} ...`);
  results.push(await compare(size as SizeName));
}
const round = (_: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(5)) : value);
const machine = {cpu: cpus()[0]?.model, processors: availableParallelism(), node: process.version};
console.log(JSON.stringify({...machine, date: new Date().toISOString().slice(0, 10), results}, round, 1));
