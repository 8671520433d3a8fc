// node examples/onnx/serve.mjs FOLDER [PORT]: serves the page of web/ with an exported pipeline, on this machine only.
import {createReadStream} from 'node:fs';
import {stat} from 'node:fs/promises';
import {createServer} from 'node:http';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

const [folder, port = '8080'] = process.argv.slice(2);
if (!folder) {
  process.stderr.write('Give the folder of an exported pipeline: the one that holds pipeline.json.\n');
  process.exit(1);
}
const root = fileURLToPath(new URL('../..', import.meta.url));
const runtime = path.dirname(fileURLToPath(import.meta.resolve('onnxruntime-web')));

/** What may be asked for: a prefix of the address, and the folder it stands for. */
const places = [
  ['/pipeline/', path.resolve(folder)],
  ['/onnxruntime/', runtime],
  ['/sampler/examples/onnx/', path.join(root, 'examples/onnx')],
  // What the sampler imports: random numbers, and what conditions are as numbers. No TensorFlow.js among it.
  ...['random', 'models', 'layers', 'platform'].map(part => [
    `/sampler/dist/src/${part}/`,
    path.join(root, 'dist/src', part),
  ]),
  ['/', path.join(root, 'examples/onnx/web')],
];
const types = {
  '.html': 'text/html',
  '.mjs': 'text/javascript',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

function pathOf(url) {
  try {
    return decodeURIComponent(new URL(url, 'http://localhost').pathname);
  } catch {
    return '/no such file';
  }
}

const server = createServer(async (request, response) => {
  const address = pathOf(request.url);
  const [prefix, place] = places.find(([p]) => address.startsWith(p));
  const file = path.join(place, address === '/' ? 'index.html' : address.slice(prefix.length));
  const inside = file.startsWith(place + path.sep);
  const found = inside ? await stat(file).catch(() => undefined) : undefined;
  if (!found?.isFile()) {
    response.writeHead(404).end('Not found');
    return;
  }
  response.writeHead(200, {
    'content-type': types[path.extname(file)] ?? 'application/octet-stream',
    'content-length': found.size,
    // Threads in WebAssembly want an isolated page.
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
  });
  createReadStream(file).pipe(response);
});
server.listen(Number(port), '127.0.0.1', () => process.stdout.write(`http://127.0.0.1:${server.address().port}/\n`));
