// Unpacks a gzip'd shard as it streams. Its tar offsets are reached by unpacking, for there is no seeking in gzip.
import {once} from 'node:events';
import {createGunzip} from 'node:zlib';
import type {ByteReader, ByteSource} from './bytes.ts';
import {messageOf, WebDatasetError} from './errors.ts';
import {streamSource} from './local.ts';

/** The unpacked bytes of what `packed` still holds. */
export function gunzipSource(packed: ByteReader): ByteSource {
  const name = packed.source.name;

  async function* unpacked(): AsyncGenerator<Uint8Array> {
    const gunzip = createGunzip({chunkSize: 256 * 1024});
    let feedError: unknown;
    const feeding = (async () => {
      try {
        for await (const chunk of packed.rest()) {
          if (gunzip.destroyed) return;
          if (!gunzip.write(chunk)) await Promise.race([once(gunzip, 'drain'), once(gunzip, 'close')]);
        }
        gunzip.end();
      } catch (error) {
        if (gunzip.errored) return; // the reading side reports it
        feedError = error;
        gunzip.destroy();
      }
    })();
    try {
      for await (const chunk of gunzip) yield chunk as Buffer;
      if (feedError !== undefined) throw feedError;
    } catch (error) {
      if (feedError !== undefined) throw feedError;
      if (error instanceof WebDatasetError) throw error;
      const cut = (error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR';
      const message = cut ? 'the gzip data is truncated' : `the gzip data is damaged (${messageOf(error)})`;
      throw new WebDatasetError(cut ? 'truncated' : 'bad-compression', message, {
        scope: 'shard',
        shard: name,
        cause: error,
      });
    } finally {
      gunzip.destroy();
      await feeding;
    }
  }
  return {...streamSource(name, unpacked()), close: () => packed.close()};
}
