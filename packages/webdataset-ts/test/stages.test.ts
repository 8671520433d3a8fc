// Randomness, addresses, decoders and the stages without a memory.
import {describe, expect, test} from 'vitest';
import {
  batch,
  collectErrors,
  decode,
  decoders,
  expandUrls,
  filter,
  map,
  prefetch,
  type Sample,
  shardName,
  take,
  WebDatasetError,
} from '../src/index.ts';
import {keyOf, permutation, threefry, uniformAt} from '../src/random.ts';
import {collect, errorOf, keysOf} from './helpers.ts';

test('Threefry-2x32-20 gives the published vectors', () => {
  expect(threefry([0, 0], [0, 0])).toEqual([0x6b200159, 0x99ba4efe]);
  expect(threefry([0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff])).toEqual([0x1cb996fc, 0xbb002be7]);
  expect(threefry([0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3])).toEqual([0xc4923a9c, 0x483df7a0]);
});

test('permutations are permutations, evenly spread; uniforms fill [0, 1)', () => {
  const places = Array.from({length: 4}, () => [0, 0, 0, 0]);
  for (let seed = 0; seed < 4000; seed++) {
    const order = permutation(keyOf(seed), 4);
    expect([...order].sort()).toEqual([0, 1, 2, 3]);
    order.forEach((value, place) => {
      places[place]![value]!++;
    });
  }
  for (const counts of places) for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(130);
  const uniforms = Array.from({length: 10_000}, (_, index) => uniformAt(keyOf(1), index));
  expect(Math.min(...uniforms)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...uniforms)).toBeLessThan(1);
  expect(Math.abs(uniforms.reduce((sum, value) => sum + value) / 10_000 - 0.5)).toBeLessThan(0.01);
});

test('brace expressions', () => {
  expect(expandUrls('x-{000008..000011}.tar')).toEqual([
    'x-000008.tar',
    'x-000009.tar',
    'x-000010.tar',
    'x-000011.tar',
  ]);
  expect(expandUrls(['s3://b/{a,b/{1..2}}.tar', '-'])).toEqual([
    's3://b/a.tar',
    's3://b/b/1.tar',
    's3://b/b/2.tar',
    '-',
  ]);
  expect(expandUrls('x-{00000..99999}-{0..4}.tar')).toHaveLength(500_000);
  expect(() => expandUrls('x-{0..99999}-{0..99}.tar')).toThrow(/more than 1000000/);
  expect(() => expandUrls([])).toThrow(/empty/);
  expect(shardName('https://me:pw@host/x.tar?sig=1#a')).toBe('https://host/x.tar');
  expect(shardName('s3://b/x?y.tar')).toBe('s3://b/x?y.tar');
});

const sample = (key: string, members: Record<string, string>): Sample => ({
  key,
  shard: 'x.tar',
  state: key,
  members: Object.fromEntries(
    Object.entries(members).map(([extension, text]) => [extension, Buffer.from(text, 'latin1')]),
  ),
});

async function* from<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

describe('decode', () => {
  test('by extension, by its last part, and as bytes', async () => {
    const [found] = await collect(
      decode(
        from([sample('a', {json: '[1]', 'meta.json': '{}', txt: 'hi', cls: ' 3\n', mp4: 'v', 'a.safetensors': 's'})]),
      ),
    );
    expect(found!.members).toMatchObject({json: [1], 'meta.json': {}, txt: 'hi', cls: 3});
    expect(found!.members.mp4).toEqual(Buffer.from('v'));
    expect(found!.members['a.safetensors']).toEqual(Buffer.from('s'));
  });

  test('with decoders of the caller', async () => {
    const own = {...decoders, mp4: (bytes: Uint8Array) => bytes.length, 'x.json': () => 'special'};
    const [found] = await collect(
      decode(from([sample('a', {mp4: 'abc', 'x.json': '{', json: '{}'})]), {decoders: own}),
    );
    expect({...found!.members}).toEqual({mp4: 3, 'x.json': 'special', json: {}});
  });

  test.each([
    ['json', '{"a":'],
    ['txt', '\xff\xfe'],
    ['cls', 'three'],
    ['cls', '99999999999999999999'],
  ])('a bad .%s is a bad sample', async (extension, bytes) => {
    const samples = [sample('a', {txt: 'ok'}), sample('b', {[extension]: bytes}), sample('c', {})];
    expect(await errorOf(collect(decode(from(samples))))).toMatchObject({
      code: 'decode',
      scope: 'sample',
      shard: 'x.tar',
      key: 'b',
    });
    const list: WebDatasetError[] = [];
    expect(keysOf(await collect(decode(from(samples), {onError: collectErrors(list)})))).toEqual(['a', 'c']);
    expect(list).toHaveLength(1);
  });
});

describe('stages', () => {
  const items = Array.from({length: 7}, (_, index) => ({index, key: String(index), state: index}));

  test('map keeps order and state, drops undefined, bounds what runs at once', async () => {
    let running = 0;
    let most = 0;
    const mapped = map(
      from(items),
      async ({index}) => {
        most = Math.max(most, ++running);
        await new Promise(resolve => setTimeout(resolve, (7 - index) * 2));
        running--;
        return index === 3 ? undefined : {twice: 2 * index};
      },
      {concurrency: 3},
    );
    expect(await collect(mapped)).toEqual([0, 1, 2, 4, 5, 6].map(index => ({twice: 2 * index, state: index})));
    expect(most).toBe(3);
  });

  test('map names the item that failed', async () => {
    const fail = ({index}: {index: number}) => {
      if (index % 3 === 1) throw new Error('no frames');
      return {index};
    };
    const error = await errorOf(collect(map(from(items), fail)));
    expect(error).toMatchObject({scope: 'sample', key: '1', detail: 'no frames'});
    const list: WebDatasetError[] = [];
    const rest = await collect(map(from(items), fail, {onError: collectErrors(list), concurrency: 4}));
    expect(rest.map(({index}) => index)).toEqual([0, 2, 3, 5, 6]);
    expect(keysOf(list.map(({key}) => ({key: key!})))).toEqual(['1', '4']);
    const fatal = new WebDatasetError('bad-option', 'no');
    await expect(collect(map(from(items), () => Promise.reject(fatal), {onError: () => {}}))).rejects.toBe(fatal);
  });

  test('filter, take and batch', async () => {
    expect(await collect(filter(from(items), ({index}) => index > 4))).toEqual(items.slice(5));
    expect(await collect(take(from(items), 2))).toEqual(items.slice(0, 2));
    expect(await collect(take(from(items), 0))).toEqual([]);
    const states = async (remainder: 'keep' | 'drop') =>
      (await collect(batch(from(items), 3, {remainder}))).map(({state}) => state);
    expect(await states('keep')).toEqual([2, 5, 6]);
    expect(await states('drop')).toEqual([2, 5]);
  });

  test('prefetch reads ahead within its bound, keeps order, and gives an error in its place', async () => {
    let read = 0;
    let closed = false;
    async function* failing() {
      try {
        for (const item of items) {
          read++;
          yield item;
        }
        throw new Error('at the end');
      } finally {
        closed = true;
      }
    }
    const found: number[] = [];
    const consume = async () => {
      for await (const {index} of prefetch(failing(), 2)) {
        await new Promise(resolve => setTimeout(resolve, 2));
        expect(read - found.length).toBeLessThanOrEqual(4);
        found.push(index);
      }
    };
    await expect(consume()).rejects.toThrow('at the end');
    expect(found).toEqual([0, 1, 2, 3, 4, 5, 6]);
    closed = false;
    for await (const _ of prefetch(failing(), 2)) break;
    expect(closed).toBe(true);
  });
});
