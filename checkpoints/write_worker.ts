// The thread that writes checkpoints while training goes on.
import {parentPort} from 'node:worker_threads';
import {UserError} from '../src/platform/user_error.ts';
import {prune} from './prune.ts';
import {writeCheckpoint} from './write.ts';
import type {WriteReply, WriteRequest} from './write_messages.ts';

parentPort!.on('message', async ({folder, state, options, keep}: WriteRequest) => {
  let reply: WriteReply;
  try {
    const written = await writeCheckpoint(folder, state, options);
    reply = {written, removed: keep ? await prune(folder, keep, written.name) : []};
  } catch (error) {
    const user = error instanceof UserError;
    reply = {
      failure: error instanceof Error ? (user ? error.message : (error.stack ?? error.message)) : String(error),
      user,
    };
  }
  parentPort!.postMessage(reply);
});
