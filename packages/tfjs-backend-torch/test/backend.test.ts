// Storage and behaviour: what is registered, leaks, errors that leave the process alive, reads that do not block, in-place
// updates, worker threads.
import {Worker} from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import {beforeAll, describe, expect, test} from 'vitest';
import {isBuilt} from '../src/built.ts';
import type * as Torch from '../src/index.ts';
import {ramp} from './support.ts';

describe.skipIf(!isBuilt())('the backend (needs the addon: npm run build:torch)', () => {
  let torch: typeof Torch;
  const backend = () => tf.backend() as Torch.TorchBackend;
  beforeAll(async () => {
    torch = await import('../src/index.ts');
    await tf.setBackend('torch');
  });

  test('registers every kernel of the cpu backend', () => {
    const own = new Set(tf.getKernelsForBackend('torch').map(({kernelName}) => kernelName));
    expect(
      tf
        .getKernelsForBackend('cpu')
        .map(({kernelName}) => kernelName)
        .filter(name => !own.has(name)),
    ).toEqual([]);
  });

  test('exactly these kernels run on the host', () => {
    expect(torch.hostKernelNames).toEqual([
      'CropAndResize',
      'Draw',
      'Multinomial',
      'NonMaxSuppressionV3',
      'NonMaxSuppressionV4',
      'NonMaxSuppressionV5',
      'RaggedGather',
      'RaggedRange',
      'RaggedTensorToTensor',
      'RotateWithOffset',
      'SearchSorted',
      'SparseFillEmptyRows',
      'SparseReshape',
      'SparseSegmentMean',
      'SparseSegmentSum',
      'StaticRegexReplace',
      'StringNGrams',
      'StringSplit',
      'StringToHashBucketFast',
      'Transform',
      'Unique',
    ]);
    const before = torch.engineStats().adapterCalls;
    tf.dispose(Object.values(tf.unique(tf.tensor1d([1, 1, 2]))));
    expect(torch.engineStats().adapterCalls).toBe(before + 1);
  });

  test('says what it is', () => {
    const info = torch.torchInfo();
    expect(info.version).toMatch(/^\d+\.\d+/);
    expect(info.threads).toBeGreaterThan(0);
    torch.setThreads(1);
    expect(torch.torchInfo().threads).toBe(1);
    torch.setThreads(info.threads, info.blasThreads || info.threads);
    expect(() => torch.setThreads(0)).toThrow(/positive integers/);
  });

  test('numDataIds and allocated bytes return to their start', async () => {
    const step = () =>
      tf.tidy(() => {
        const x = ramp<tf.Tensor4D>([2, 16, 16, 8], 1);
        const grad = tf.grad(w => tf.mean(tf.square(tf.conv2d(x, w as tf.Tensor4D, 1, 'same'))));
        return tf.sum(grad(ramp([3, 3, 8, 8], 2))).dataSync()[0];
      });
    step();
    const [ids, tensors, bytes] = [backend().numDataIds(), tf.memory().numTensors, torch.engineStats().allocated];
    for (let i = 0; i < 20; i++) step();
    expect(backend().numDataIds()).toBe(ids);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(torch.engineStats().allocated).toBe(bytes);
  });

  test('a reshape and a clone share memory; the last one frees it', () => {
    // A GPU's library of products keeps a workspace from the first one on.
    tf.tidy(() => tf.matMul(tf.ones([1, 1]), tf.ones([1, 1])).dataSync());
    const before = torch.engineStats().allocated;
    const x = tf.fill([256, 1024], 1);
    const one = torch.engineStats().allocated - before;
    const [y, z] = [tf.reshape(x, [1024, 256]), tf.clone(x)];
    expect(tf.sum(tf.matMul(y as tf.Tensor2D, z as tf.Tensor2D)).dataSync()[0]).toBe(256 * 1024 * 1024);
    expect(tf.memory().numDataBuffers).toBeGreaterThan(0);
    x.dispose();
    z.dispose();
    expect(tf.min(y).dataSync()[0]).toBe(1);
    expect(torch.engineStats().allocated - before).toBeLessThan(one + 5_000_000);
    y.dispose();
  });

  test('what is kept of freed tensors is given back', () => {
    torch.emptyCache();
    const bytes = 64 * 2 ** 20;
    const before = torch.engineStats().reserved;
    tf.zeros([bytes / 4]).dispose();
    const kept = torch.engineStats().reserved;
    expect(kept - before).toBeGreaterThanOrEqual(bytes);
    torch.emptyCache();
    expect(torch.engineStats().reserved).toBeLessThanOrEqual(kept - bytes);
  });

  test('on a CPU, down to a bound', ({skip}) => {
    if (torch.torchInfo().device !== 'cpu') skip("libtorch's allocator for CUDA gives all of it back");
    torch.emptyCache();
    const MIB = 2 ** 20;
    const before = torch.engineStats().reserved;
    tf.dispose([1, 2, 4, 8].map(mebibytes => tf.zeros([(mebibytes * MIB) / 4])));
    const kept = torch.engineStats();
    expect(kept.reserved - before).toBeGreaterThanOrEqual(15 * MIB);
    torch.emptyCache(kept.reserved);
    expect(torch.engineStats().reserved).toBe(kept.reserved);
    torch.emptyCache(kept.reserved - 3 * MIB);
    const {reserved, allocated} = torch.engineStats();
    expect(reserved).toBeLessThanOrEqual(kept.reserved - 3 * MIB);
    expect(reserved - allocated).toBeGreaterThanOrEqual(7 * MIB);
    torch.emptyCache();
    expect(torch.engineStats().reserved).toBe(torch.engineStats().allocated);
  });

  test('what memory does not hold is an error that says how much was asked, and the process goes on', () => {
    for (const shape of [[2 ** 20, 2 ** 20], [2 ** 40]]) {
      expect(() => tf.fill(shape, 1)).toThrow(/Fill.*(asked for 4398046511104 bytes|allocate 4096.00 GiB|bytes)/);
    }
    expect(() => tf.tidy(() => tf.tile(tf.ones([1024, 1024]), [4096, 4096]))).toThrow(/Tile\(x float32\[1024,1024\]\)/);
    expect(() => tf.fill([2 ** 32, 2 ** 32], 1)).toThrow();
    expect(tf.tidy(() => tf.sum(tf.ones([10])).dataSync()[0])).toBe(10);
  });

  test('wrong shapes and types are errors that name the kernel and the shapes', () => {
    tf.tidy(() => {
      const conv = {strides: [1, 1], pad: 'valid', dataFormat: 'NHWC', dilations: [1, 1]};
      const inputs = {x: tf.ones([1, 4, 4, 3]), filter: tf.ones([3, 3, 5, 2])};
      expect(() => tf.engine().runKernel('Conv2D', inputs, conv)).toThrow(/3.*5|Conv2D/);
      const gather = () => tf.gather(tf.ones([3, 2]), tf.tensor1d([7], 'int32'));
      expect(gather).toThrow(/GatherV2\(x float32\[3,2\], indices int32\[1\]\).*7/);
      expect(() => tf.engine().runKernel('BitwiseAnd', {a: tf.ones([2]), b: tf.ones([2])})).toThrow(/BitwiseAnd/);
    });
  });

  test('use after disposal and a second disposal are errors or nothing, never a crash', () => {
    const x = tf.ones([3]);
    const {dataId, shape, dtype} = x;
    x.dispose();
    x.dispose();
    expect(() => tf.square(x)).toThrow(/disposed/);
    expect(() => backend().handle({dataId, shape, dtype})).toThrow(/disposed/);
    expect(() => backend().native.release(1e6)).toThrow(/disposed/);
    expect(() => backend().native.add(-1, 0)).toThrow();
  });

  test('indices from the host are checked there, and anew once they are overwritten', () => {
    tf.tidy(() => {
      const x = tf.tensor1d([5, 6, 7]);
      const ids = tf.tensor2d([[0, 2, 9]], [1, 3], 'int32');
      const some = tf.slice(ids, [0, 0], [1, 2]);
      expect(Array.from(tf.gather(x, tf.tensor1d([2, 0], 'int32')).dataSync())).toEqual([7, 5]);
      expect(Array.from(tf.gather(x, some).dataSync())).toEqual([5, 7]);
      expect(() => tf.gather(x, ids)).toThrow(/the index value 9 is not in \[0, 2\]/);
      const first = tf.tensor1d([0, 1], 'int32');
      const variable = tf.variable(first, false);
      first.dispose(); // now the variable has the values alone, and is written in place
      tf.gather(x, variable);
      tf.engine().runKernel('Overwrite', [variable, tf.tensor1d([-1, 3], 'int32')] as never);
      expect(() => tf.gather(x, variable)).toThrow(/the index value -1 is not in/);
      variable.dispose();
    });
  });

  test('reads leave the event loop free, and an in-place update waits for them', async () => {
    const size = 1 << 25;
    const x = tf.fill([size], 1);
    const reading = x.data();
    let ticks = 0;
    const timer = setImmediate(function tick() {
      ticks++;
      setImmediate(tick);
    });
    const values = await reading;
    clearImmediate(timer);
    expect(ticks).toBeGreaterThan(0);
    expect([values[0], values[size - 1]]).toEqual([1, 1]);
    x.dispose();
  });

  test('strings, complex numbers and bools survive a round trip and movement', async () => {
    const words = tf.tensor(['b', 'a', 'né', 'b'], [2, 2]);
    expect(await tf.concat([tf.slice(words, [1, 0], [1, 2]), words], 0).data()).toEqual('né b b a né b'.split(' '));
    const z = tf.complex(tf.tensor1d([1, 2]), tf.tensor1d([3, 4]));
    expect(Array.from(await tf.mul(z, z).data())).toEqual([-8, 6, -12, 16]);
    expect(Array.from(await tf.logicalNot(tf.tensor1d([true, false])).data())).toEqual([0, 1]);
  });

  test('moves tensors from another backend and back', async () => {
    const x = tf.tensor1d([1, 2, 3]);
    await tf.setBackend('cpu');
    const y = tf.add(x, 1);
    await tf.setBackend('torch');
    expect(Array.from(await tf.add(x, y).data())).toEqual([3, 5, 7]);
  });

  test('two backends in one process do not share state', () => {
    const other = new torch.TorchBackend();
    const before = backend().numDataIds();
    const dataId = other.write(Float32Array.of(1, 2), [2], 'float32');
    expect([other.numDataIds(), backend().numDataIds()]).toEqual([1, before]);
    other.dispose();
    expect(other.numDataIds()).toBe(0);
    expect(() => other.readSync(dataId)).toThrow(/disposed/);
  });

  test('bf16: products are rounded to 8 bits, everything else stays float32', () => {
    const [a, b] = [ramp<tf.Tensor2D>([64, 64], 1), ramp<tf.Tensor2D>([64, 64], 2)];
    const exact = tf.matMul(a, b).dataSync();
    torch.setPrecision('bf16');
    try {
      tf.tidy(() => {
        const y = tf.matMul(a, b);
        const rounded = Array.from(y.dataSync());
        const worst = rounded.reduce((most, value, i) => Math.max(most, Math.abs(value - exact[i]!)), 0);
        expect(worst).toBeGreaterThan(1e-4);
        expect(worst).toBeLessThan(0.3);
        expect(y.dtype).toBe('float32');
        expect(tf.add(y, tf.fill([64, 64], 2 ** -20)).dataSync()[0]).not.toBe(rounded[0]);
      });
    } finally {
      torch.setPrecision('fp32');
    }
    expect(tf.tidy(() => tf.matMul(a, b).dataSync())).toEqual(exact);
  });

  test('loads in a worker thread, beside the main thread', async () => {
    const source = `
      const {parentPort} = require('node:worker_threads');
      (async () => {
        const tf = await import('@tensorflow/tfjs-core');
        await import(${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)});
        await tf.setBackend('torch');
        const x = tf.fill([512, 512], 2);
        parentPort.postMessage([tf.getBackend(), tf.sum(tf.matMul(x, x)).dataSync()[0]]);
      })();`;
    const workers = [1, 2].map(() => new Worker(source, {eval: true}));
    const answers = await Promise.all(
      workers.map(worker => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))),
    );
    await Promise.all(workers.map(worker => worker.terminate()));
    expect(answers).toEqual([1, 2].map(() => ['torch', 512 ** 3 * 4]));
    expect(tf.tidy(() => tf.sum(tf.ones([7])).dataSync()[0])).toBe(7);
  });
});
