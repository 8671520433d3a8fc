import {createHash} from 'node:crypto';
import {mkdir, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {UserError} from '../../src/platform/user_error.ts';
import {normals, uniforms} from '../../src/random/index.ts';
import {
  bytesOf,
  elements,
  f32,
  type HostTensor,
  hostF32,
  hostI64,
  integersOf,
  toFloatDtype,
} from '../../src/weights/host_tensor.ts';
import {
  encodeSafetensors,
  openSafetensors,
  parseSafetensors,
  withSafetensors,
  writeSafetensors,
} from '../../src/weights/safetensors.ts';

const golden = fileURLToPath(new URL('../golden/open-schedulers.safetensors', import.meta.url));
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'safetensors-'));
});
afterAll(() => rm(folder, {recursive: true}));

const random = (shape: number[], step = 0) =>
  hostF32(shape, normals({seed: 1, stream: 'synthetic', step}, elements(shape)));

/** A file of every dtype, an empty tensor and a scalar. */
function mixture(): Map<string, HostTensor> {
  const base = random([3, 5]);
  return new Map<string, HostTensor>([
    ['z.weight', base],
    ['half', toFloatDtype(base, 'F16')],
    ['brain', toFloatDtype(base, 'BF16')],
    ['ids', hostI64([2], [-7, 2 ** 53 - 1])],
    ['counts', {dtype: 'I32', shape: [3], data: bytesOf(Int32Array.of(1, -2, 3))}],
    ['bytes', {dtype: 'U8', shape: [5], data: Uint8Array.of(1, 2, 3, 4, 255)}],
    ['nothing', hostF32([0, 4], new Float32Array(0))],
    ['scalar é 🎞', hostF32([], Float32Array.of(-0))],
  ]);
}

async function readAll(file: string): Promise<Map<string, HostTensor>> {
  return withSafetensors(file, async open => {
    const all = new Map<string, HostTensor>();
    for (const name of open.tensors.keys()) all.set(name, await open.read(name));
    return all;
  });
}

/** A file from a header and a body, neither of them checked. */
function rawFile(header: string | Uint8Array, body: Uint8Array = new Uint8Array(0), length?: number): Uint8Array {
  const json = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length ?? json.length), true);
  bytes.set(json, 8);
  bytes.set(body, 8 + json.length);
  return bytes;
}

describe('round trips', () => {
  test('a file of the reference library is read, and written back with the same bytes', async () => {
    const bytes = await readFile(golden);
    const {tensors, metadata} = parseSafetensors(bytes, 'golden');
    expect(tensors.size).toBe(18);
    expect(tensors.get('io.t')).toMatchObject({dtype: 'I64', shape: [2]});
    expect(integersOf(tensors.get('io.t')!)).toEqual([10, 900]);
    const file = path.join(folder, 'golden.safetensors');
    const [written] = await writeSafetensors(file, tensors, {metadata});
    expect(Buffer.compare(await readFile(file), bytes)).toBe(0);
    expect(written).toEqual({file, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex')});
    expect(Buffer.compare(encodeSafetensors(tensors, metadata), bytes)).toBe(0);
  });

  test('every dtype, empty tensors and scalars come back with the same bytes', async () => {
    const file = path.join(folder, 'mixture.safetensors');
    await writeSafetensors(file, mixture(), {metadata: {format: 'pt', __proto__x: 'y'}});
    const back = await readAll(file);
    expect(new Map([...back].sort())).toEqual(new Map([...mixture()].sort()));
    await withSafetensors(file, async open => {
      expect({...open.metadata}).toEqual({format: 'pt', __proto__x: 'y'});
      const [first] = open.tensors;
      expect(first![0]).toBe('ids');
      const into = new Uint8Array(60);
      await open.readInto('z.weight', into);
      expect(into).toEqual(mixture().get('z.weight')!.data);
      await expect(open.readInto('z.weight', new Uint8Array(61))).rejects.toThrow('60 bytes');
      await expect(open.read('w.weight')).rejects.toThrow('holds no tensor "w.weight"');
    });
  });

  test('tensors made when their turn comes are written the same', async () => {
    const [a, b] = [path.join(folder, 'a.safetensors'), path.join(folder, 'b.safetensors')];
    await writeSafetensors(a, mixture());
    const lazy = [...mixture()].reverse().map(([name, {dtype, shape, data}]) => {
      return [name, {dtype, shape, data: async () => data}] as const;
    });
    await writeSafetensors(b, lazy);
    expect(await readFile(b)).toEqual(await readFile(a));
  });

  test('values of each dtype as float32, aligned or not', () => {
    const {tensors} = parseSafetensors(encodeSafetensors(mixture()), 'mixture');
    const base = f32(random([3, 5]));
    expect(f32(tensors.get('z.weight')!)).toEqual(base);
    for (const [name, step] of [
      ['half', 2 ** -11],
      ['brain', 2 ** -8],
    ] as const) {
      for (const [i, value] of f32(tensors.get(name)!).entries()) {
        expect(Math.abs(value - base[i]!)).toBeLessThanOrEqual(step * Math.abs(base[i]!));
      }
    }
    expect([...f32(tensors.get('counts')!)]).toEqual([1, -2, 3]);
    expect([...f32(tensors.get('bytes')!)]).toEqual([1, 2, 3, 4, 255]);
    expect(f32(tensors.get('ids')!)[0]).toBe(-7);
    const unaligned = {dtype: 'F32', shape: [15], data: new Uint8Array(61).subarray(1)} as const;
    unaligned.data.set(tensors.get('z.weight')!.data);
    expect(f32(unaligned)).toEqual(base);
    expect(() => integersOf(tensors.get('half')!)).toThrow('integer tensor');
  });

  test('a split model has an index, reads as one and keeps every shard under the size', async () => {
    const sub = path.join(folder, 'split');
    await mkdir(sub);
    const tensors = new Map<string, HostTensor>(
      Array.from({length: 7}, (_, i) => [`layer.${i}.weight`, random([10, 10], i)] as const),
    );
    tensors.set('big', random([40, 10], 99));
    const written = await writeSafetensors(path.join(sub, 'model.safetensors'), tensors, {
      metadata: {format: 'pt'},
      maxShardBytes: 1000,
    });
    expect((await readdir(sub)).sort()).toEqual([
      'model-00001-of-00005.safetensors',
      'model-00002-of-00005.safetensors',
      'model-00003-of-00005.safetensors',
      'model-00004-of-00005.safetensors',
      'model-00005-of-00005.safetensors',
      'model.safetensors.index.json',
    ]);
    expect(written.length).toBe(6);
    const back = await readAll(path.join(sub, 'model.safetensors.index.json'));
    expect(new Map([...back].sort())).toEqual(new Map([...tensors].sort()));
    const index = JSON.parse(await readFile(path.join(sub, 'model.safetensors.index.json'), 'utf8'));
    expect(index.metadata.total_size).toBe(4400);
    expect(Object.keys(index.weight_map).length).toBe(8);
  });
});

describe('what is not a safetensors file is refused in one sentence', () => {
  const one = (fields: string) => `{"w":{${fields}}}`;
  const good = '"dtype":"F32","shape":[2],"data_offsets":[0,8]';
  const body = new Uint8Array(8);
  const cases: [string, Uint8Array, string][] = [
    ['an empty file', new Uint8Array(0), 'too few for a header'],
    ['seven bytes', new Uint8Array(7), 'too few'],
    ['a header longer than the file', rawFile(one(good), body, 2 ** 40), 'header claims 1099511627776 bytes'],
    ['the largest length', rawFile(one(good), body).fill(255, 0, 8), 'header claims'],
    ['a header of no bytes', rawFile('', body), 'header claims 0 bytes'],
    ['HTML', new TextEncoder().encode('<!DOCTYPE html><html>not found</html>'), 'header claims'],
    ['a header that is not UTF-8', rawFile(Uint8Array.of(0x7b, 0xff, 0x7d)), 'not UTF-8'],
    ['leading space', rawFile(' {}'), 'does not begin'],
    ['no object', rawFile('[]'), 'does not begin'],
    ['half an object', rawFile('{"w":{'), 'a string'],
    ['text after the object', rawFile('{} {}'), 'expected the end'],
    ['deep nesting', rawFile(`{"w":${'['.repeat(1e6)}`), 'expected an object'],
    ['a duplicated tensor', rawFile(`{"w":{${good}},"w":{${good}}}`, body), '"w" is there twice'],
    ['a duplicated tensor, escaped', rawFile(`{"w":{${good}},"\\u0077":{${good}}}`, body), '"w" is there twice'],
    ['a duplicated field', rawFile(one(`${good},"dtype":"F16"`), body), '"dtype" is there twice'],
    ['an unknown field', rawFile(one(`${good},"x":1`), body), '"x" is unknown'],
    ['metadata that is not text', rawFile('{"__metadata__":{"a":1}}'), 'a string'],
    ['two metadata', rawFile('{"__metadata__":{},"__metadata__":{}}'), 'twice'],
    ['a wrong dtype', rawFile(one('"dtype":"F31","shape":[2],"data_offsets":[0,8]'), body), 'dtype "F31" is not read'],
    [
      'a dtype from the prototype',
      rawFile(one('"dtype":"constructor","shape":[2],"data_offsets":[0,8]'), body),
      'dtype',
    ],
    ['another size than its shape', rawFile(one('"dtype":"F32","shape":[3],"data_offsets":[0,8]'), body), '12 bytes'],
    ['offsets backwards', rawFile(one('"dtype":"F32","shape":[2],"data_offsets":[8,0]'), body), '-8'],
    ['negative offsets', rawFile(one('"dtype":"F32","shape":[2],"data_offsets":[-8,0]'), body), 'an integer'],
    ['a fractional shape', rawFile(one('"dtype":"F32","shape":[2.0],"data_offsets":[0,8]'), body), 'an integer'],
    ['three offsets', rawFile(one('"dtype":"F32","shape":[2],"data_offsets":[0,8,9]'), body), 'more than 2'],
    ['one offset', rawFile(one('"dtype":"F32","shape":[2],"data_offsets":[8]'), body), 'two data_offsets'],
    [
      'an overflowing shape',
      rawFile(one('"dtype":"U8","shape":[9007199254740991,9007199254740991],"data_offsets":[0,8]'), body),
      'overflows',
    ],
    [
      'an infinite empty shape',
      rawFile(one(`"dtype":"U8","shape":[${'9007199254740991,'.repeat(15)}0],"data_offsets":[0,0]`)),
      'overflows',
    ],
    [
      'too many dimensions',
      rawFile(one(`"dtype":"U8","shape":[${'1,'.repeat(20)}1],"data_offsets":[0,1]`)),
      'more than 16',
    ],
    ['a truncated body', rawFile(one(good), body.subarray(1)), 'is it truncated?'],
    ['bytes after the last tensor', rawFile(one(good), new Uint8Array(9)), '1 bytes follow'],
    ['a gap', rawFile(one('"dtype":"F32","shape":[1],"data_offsets":[4,8]'), body), 'leaves 4 bytes unnamed'],
    [
      'an overlap',
      rawFile(`{"w":{${good}},"v":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, new Uint8Array(12)),
      'overlaps',
    ],
    ['the same bytes twice', rawFile(`{"w":{${good}},"v":{${good}}}`, body), 'overlaps'],
  ];
  test.each(cases)('%s', async (_name, bytes, expected) => {
    const file = path.join(folder, 'bad.safetensors');
    await writeFile(file, bytes);
    for (const load of [async () => parseSafetensors(bytes, file), () => openSafetensors(file)]) {
      const error = await load().then(
        () => undefined,
        caught => caught,
      );
      expect(error).toBeInstanceOf(UserError);
      expect(error.message).toContain(expected);
      expect(error.message).toContain(file);
      expect(error.message).not.toContain('\n');
      expect(error.message.length).toBeLessThan(600);
    }
  });

  test('missing files, folders and shards are named', async () => {
    await expect(openSafetensors(path.join(folder, 'no.safetensors'))).rejects.toThrow('no such file');
    await expect(openSafetensors(folder)).rejects.toThrow(UserError);
    const index = path.join(folder, 'x.safetensors.index.json');
    const refuse = async (json: string, expected: string) => {
      await writeFile(index, json);
      await expect(openSafetensors(index)).rejects.toThrow(expected);
    };
    await refuse('{"weight_map":{"w":"gone.safetensors"}}', 'gone.safetensors');
    await refuse('{"weight_map":{"w":"../w.safetensors"}}', 'not the name of a file beside it');
    await refuse('{"weight_map":{"w":"/etc/passwd"}}', 'not the name of a file beside it');
    await refuse('{"weight_map":{}}', 'missing or empty');
    await refuse('{"weight_map":{"w":"a.safetensors","w":"b.safetensors"}}', 'twice');
    await refuse('[1]', 'an object');
    await writeSafetensors(path.join(folder, 'part.safetensors'), new Map([['w', random([2])]]));
    await refuse('{"weight_map":{"w":"part.safetensors","v":"part.safetensors"}}', 'holds "v", it does not');
    await refuse('{"weight_map":{"v":"part.safetensors"}}', 'does not name it');
  });

  test('a file cut while it is read is named', async () => {
    const file = path.join(folder, 'cut.safetensors');
    await writeSafetensors(file, new Map([['w', random([1000])]]));
    await withSafetensors(file, async open => {
      await writeFile(file, (await readFile(file)).subarray(0, 500));
      await expect(open.read('w')).rejects.toThrow('ended at byte');
    });
  });

  test('1,000 generated hostile files: each an error of one sentence or a whole, equal file', async () => {
    const valid = encodeSafetensors(mixture(), {format: 'pt', config: '{"a":[1,2]}'});
    const headerEnd = 8 + Number(new DataView(valid.buffer).getBigUint64(0, true));
    const tokens = [
      '{',
      '}',
      '[',
      ']',
      '"',
      ':',
      ',',
      '0',
      '-1',
      '1e9',
      '99999999999999999999',
      'null',
      '"w"',
      '\\',
      '\\u0000',
      'F64',
      '\u0000',
    ];
    let refused = 0;
    for (let i = 0; i < 1000; i++) {
      const u = uniforms({seed: 9, stream: 'synthetic', step: i}, 64);
      let k = 0;
      const pick = (n: number) => Math.floor(u[k++ % 64]! * n);
      let bytes: Uint8Array = valid.slice();
      for (let edits = 1 + pick(4); edits > 0; edits--) {
        const kind = pick(5);
        if (kind === 0) bytes[pick(headerEnd)] = pick(256);
        else if (kind === 1) bytes = bytes.slice(0, pick(bytes.length));
        else if (kind === 2) new DataView(bytes.buffer).setUint8(pick(Math.min(8, bytes.length)), pick(256));
        else {
          // Replace a few header bytes by a token; keep the length field right half of the time.
          const at = 8 + pick(headerEnd - 8);
          const token = new TextEncoder().encode(tokens[pick(tokens.length)]);
          const rest = bytes.subarray(Math.min(bytes.length, at + pick(12)));
          bytes = Uint8Array.from([...bytes.subarray(0, at), ...token, ...rest]);
          if (kind === 3 && bytes.length > headerEnd) {
            const now = headerEnd - 8 + bytes.length - valid.length;
            if (now > 0) new DataView(bytes.buffer).setBigUint64(0, BigInt(now), true);
          }
        }
        if (bytes.length < 8) break;
      }
      try {
        const {tensors} = parseSafetensors(bytes, 'hostile');
        // What loads must account for every byte of the file once.
        const sum = [...tensors.values()].reduce((total, tensor) => total + tensor.data.length, 0);
        expect(8 + Number(new DataView(bytes.buffer).getBigUint64(0, true)) + sum).toBe(bytes.length);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        expect(error.message).toMatch(/^hostile is not a whole safetensors file: [^\n]*\.$/);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(700);
  });

  test('a huge header of small entries costs bounded time and memory', () => {
    const entries = Array.from({length: 400_000}, (_, i) => `"${i}":"x"`).join(',');
    const before = process.memoryUsage().rss;
    expect(Object.keys(parseSafetensors(rawFile(`{"__metadata__":{${entries}}}`), 'big').metadata).length).toBe(
      400_000,
    );
    const many = Array.from({length: 1_000_002}, (_, i) => `"${i}":""`).join(',');
    expect(() => parseSafetensors(rawFile(`{"__metadata__":{${many}}}`), 'big')).toThrow('more than 1000000 entries');
    expect(process.memoryUsage().rss - before).toBeLessThan(1.5e9);
  });
});

describe('the writer refuses', () => {
  test('two tensors of one name, data of another size, and the reserved name', async () => {
    const file = path.join(folder, 'w.safetensors');
    const w = random([2]);
    await expect(
      writeSafetensors(file, [
        ['w', w],
        ['w', w],
      ]),
    ).rejects.toThrow('Two tensors');
    await expect(writeSafetensors(file, [['w', {...w, shape: [3]}]])).rejects.toThrow('is 12 bytes, got 8');
    await expect(writeSafetensors(file, [['__metadata__', w]])).rejects.toThrow('cannot be named');
  });

  test('and a full disk leaves the file that was there, in one sentence', async () => {
    const file = path.join(folder, 'full.safetensors');
    await writeSafetensors(file, new Map([['w', random([2])]]));
    const before = await readFile(file);
    const full = Object.assign(new Error('ENOSPC: no space left on device'), {code: 'ENOSPC'});
    const {open, rename} = await import('node:fs/promises');
    const fs = {
      open: async (name: string, flags: string) => {
        const handle = await open(name, flags);
        return {
          write: () => Promise.reject(full),
          sync: () => handle.sync(),
          close: () => handle.close(),
        };
      },
      rename,
      rm,
    };
    const writing = writeSafetensors(file, new Map([['w', random([3])]]), {}, fs);
    await expect(writing).rejects.toThrow(`Cannot write ${file}: no space is left on its disk`);
    expect(await readFile(file)).toEqual(before);
    expect((await readdir(folder)).filter(name => name.includes('writing'))).toEqual([]);
  });
});
