// Opens one model in onnxruntime-node with warnings on: run as a process of its own, whose stderr is what the runtime has to say.
import {openSession} from './runtime.ts';

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('Give the path of a model.');
try {
  const session = await openSession(path, {logLevel: 2});
  await session.release();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
