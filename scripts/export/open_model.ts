// Opens a model in onnxruntime-node and, where standard input says so, runs it once on random values: a process of its own, so that
// the runtime's memory is not counted as the exporter's.
import {readFileSync} from 'node:fs';
import {openSession, runSession} from '../../src/export/runtime.ts';
import {concrete, type OnnxInput} from '../../src/export/to_onnx.ts';
import {randomInput} from '../../src/export/verify.ts';

interface Asked {
  readonly inputs: readonly OnnxInput[];
  readonly ranges: Readonly<Record<string, readonly [number, number]>>;
  readonly run: boolean;
}

const {inputs, ranges, run} = JSON.parse(readFileSync(0, 'utf8')) as Asked;
const started = performance.now();
const session = await openSession(process.argv[2]!);
console.log(`opened in onnxruntime-node in ${((performance.now() - started) / 1000).toFixed(1)} s`);
if (run) {
  const given = Object.fromEntries(concrete(inputs, {}).map((i, k) => [i.name, randomInput(i, k, {ranges})]));
  const start = performance.now();
  for (const [name, {shape, data}] of Object.entries(await runSession(session, given))) {
    const finite = (data as Float32Array).every(Number.isFinite);
    console.log(
      `${name} [${shape}]${finite ? '' : ', NOT FINITE'}: one run in ${((performance.now() - start) / 1000).toFixed(1)} s`,
    );
  }
}
await session.release();
