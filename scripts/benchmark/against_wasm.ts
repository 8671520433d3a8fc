// A training step of each of the quickstart's models on torch beside wasm, on the same weights and batch, as JSON:
//   node --import tsx scripts/benchmark/against_wasm.ts [--models autoencoder,image,temporal] [--rounds 3] [--steps 3] [--threads 1,2]
import {mkdtemp, rm} from 'node:fs/promises';
import {availableParallelism, cpus, tmpdir} from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {caseOf, type SizeName, writeCase} from './cases.ts';
import {best, ourSide, takeTurns} from './worker.ts';

const {values: options} = parseArgs({
  options: {
    models: {type: 'string', default: 'autoencoder,image,temporal'},
    rounds: {type: 'string', default: '3'},
    steps: {type: 'string', default: '3'},
    threads: {type: 'string'},
  },
});
const threadCounts = options.threads
  ? options.threads.split(',').map(Number)
  : [...new Set([1, availableParallelism()])];

async function compare(model: SizeName): Promise<object> {
  const folder = await mkdtemp(path.join(tmpdir(), 'video-ldm-benchmark-'));
  try {
    const chosen = caseOf(model);
    await writeCase(folder, chosen);
    const torch = await best(
      threadCounts.map(threads => () => ourSide(folder, '--engine', 'torch', '--threads', String(threads))),
      Number(options.steps),
    );
    const wasm = await ourSide(folder, '--engine', 'wasm');
    const [ours, theirs] = await takeTurns([torch, wasm], Number(options.rounds), Number(options.steps));
    const times = {
      timesFaster: theirs!.medianMs / ours!.medianMs,
      timesFasterByFastest: theirs!.fastestMs / ours!.fastestMs,
      timesFasterByProcessorTime: theirs!.processorMs / ours!.processorMs,
    };
    return {model, ...chosen.batch, torch: ours, wasm: theirs, ...times};
  } finally {
    await rm(folder, {recursive: true, force: true});
  }
}

const results: object[] = [];
for (const model of options.models.split(',')) {
  console.error(`${model} ...`);
  results.push(await compare(model as SizeName));
}
const machine = {cpu: cpus()[0]?.model, processors: availableParallelism(), node: process.version};
const round = (_: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(5)) : value);
console.log(JSON.stringify({...machine, date: new Date().toISOString().slice(0, 10), results}, round, 1));
