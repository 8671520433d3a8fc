// Full-size checkpoint files of random half-precision values under the original names, and what importing them costs: seconds
// and the peak of resident memory against the file's size. Usage: node --import tsx scripts/import_full_size.ts [sd1|sd2|x4-upscaler ..]
// Needs a few GB of disk below the system's temporary folder (or TMPDIR).
import {spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {writeSafetensors} from '../src/weights/safetensors.ts';
import {originalCheckpoint} from '../test/weights/original_checkpoint.ts';

const kinds = ['sd1', 'sd2', 'x4-upscaler'] as const;
const asked = process.argv.slice(2);
const unknown = asked.find(name => !kinds.some(kind => kind === name));
if (unknown) throw new Error(`There is no "${unknown}": expected ${kinds.join(', ')}.`);

const folder = mkdtempSync(path.join(tmpdir(), 'import-full-size-'));
try {
  for (const kind of kinds.filter(one => asked.length === 0 || asked.includes(one))) await measure(kind);
} finally {
  rmSync(folder, {recursive: true});
}

async function measure(kind: (typeof kinds)[number]): Promise<void> {
  const file = path.join(folder, `${kind}.safetensors`);
  const out = path.join(folder, `${kind}-folder`);
  const written = performance.now();
  await writeSafetensors(
    file,
    originalCheckpoint(kind).map(([name, shape]) => {
      const elements = shape.reduce((a, b) => a * b, 1);
      return [name, {dtype: 'F16' as const, shape, data: () => randomHalves(elements)}] as const;
    }),
  );
  const size = statSync(file).size;
  console.log(`${kind}: ${gigabytes(size)} written in ${seconds(performance.now() - written)}`);
  const cli = path.resolve(import.meta.dirname, '../dist/src/cli/main.js');
  const start = performance.now();
  const script = `await import(${JSON.stringify(cli)}); process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(`${out}.peak`)}, String(process.resourceUsage().maxRSS * 1024)));`;
  const {status, stdout, stderr} = spawnSync(
    process.execPath,
    ['-e', `(async () => {${script}})()`, 'video-ldm', 'import', file, '--out', out, '--prediction', 'v'],
    {encoding: 'utf8'},
  );
  const elapsed = performance.now() - start;
  if (status !== 0) throw new Error(stderr);
  const peak = Number(readFileSync(`${out}.peak`, 'utf8'));
  console.log(stdout.trimEnd());
  console.log(
    `${kind}: imported in ${seconds(elapsed)}, peak memory ${gigabytes(peak)} = ${(peak / size).toFixed(2)} x the file`,
  );
  rmSync(out, {recursive: true});
  rmSync(file);
}

/** Numbers of magnitude 2^-6 to 2^-3: exponents 9..12 of a half, any sign and mantissa. */
function randomHalves(count: number): Uint8Array {
  const bits = new Uint16Array(count);
  let state = (count * 2654435761) >>> 0 || 1;
  for (let i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bits[i] = (state & 0x8fff) + 0x2400;
  }
  return new Uint8Array(bits.buffer);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
