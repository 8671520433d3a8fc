// What the addon is compiled from, as one number: a build records it, and the loader compares it with the sources at hand.
import {createHash} from 'node:crypto';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';

/** SHA-256 of native/ and CMakeLists.txt, names and contents; undefined where the sources are not there. */
export function nativeSourcesHash(packageRoot) {
  const native = join(packageRoot, 'native');
  if (!existsSync(native)) return undefined;
  const files = readdirSync(native, {recursive: true})
    .map(name => name.replaceAll('\\', '/'))
    .filter(name => /\.(cc|h)$/.test(name))
    .sort();
  const hash = createHash('sha256');
  for (const name of [...files.map(file => `native/${file}`), 'CMakeLists.txt']) {
    hash.update(`${name}\0`).update(readFileSync(join(packageRoot, name)));
  }
  return hash.digest('hex');
}
