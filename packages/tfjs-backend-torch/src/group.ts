// Processes that train one model: means of gradients, broadcasts of weights and texts between them.
import {once} from 'node:events';
import {connect, type Socket} from 'node:net';
import {engine, type Tensor, Variable} from '@tensorflow/tfjs-core';
import {native} from './binding.ts';
import {refuseUnderCapture} from './capture.ts';
import {makeSoleOwner} from './kernels/sole_owner.ts';
import {TorchBackend} from './torch_backend.ts';

/** Where a process stands among those of a group, by the names torchrun gives them. */
export interface GroupPlace {
  /** 0 .. worldSize-1 (RANK). */
  readonly rank: number;
  readonly worldSize: number;
  /** Of this process among those of its machine (LOCAL_RANK). */
  readonly localRank: number;
  readonly localWorldSize: number;
  /** Where rank 0 listens (MASTER_ADDR, MASTER_PORT). */
  readonly address: string;
  readonly port: number;
  /** Where another process listens there in its place (torchrun's agent): tells this group from earlier ones. */
  readonly attempt?: string;
}

/**
 * Every rank makes the same calls in the same order, with tensors of the same sizes; a call ends when all have made it. On the
 * CPU a call fails where another rank is gone, and so do all after it. On CUDA the exchange is queued behind what the device is
 * doing, and the host waits for nothing; where another rank is gone, the process ends after an hour.
 */
export interface Group {
  readonly rank: number;
  readonly worldSize: number;
  /**
   * Writes the mean over the ranks into each tensor, where it lies: the same bytes on every rank.
   * @throws Error for tensors that are not float32, and those that share their values with others and are no variables.
   */
  allReduceMean(variables: readonly Tensor[]): void;
  /** Writes rank 0's values into each tensor, where it lies. Errors as above. */
  broadcast(variables: readonly Tensor[]): void;
  /** What each rank said, in their order; up to 16 MiB each. The event loop goes on meanwhile. Waits for an hour at most. */
  allGatherText(text: string): Promise<string[]>;
  /** Waits until the others close theirs, a minute at most. The port is free afterwards. */
  close(): Promise<void>;
}

const MOST_TEXT = 16 * 2 ** 20; // bytes
const JOIN_MINUTES = 5;
const RETRY_MS = 100;
const CLOSE_MS = 5000;

/**
 * Joins the ranks of a group at rank 0's address: NCCL between GPUs, gloo between CPUs. Waits five minutes for the others.
 * @throws Error where the place is none, where another process has it, and where ranks do not come.
 */
export async function openGroup(place: GroupPlace): Promise<Group> {
  const {rank, worldSize, address, port, attempt = ''} = checked(place);
  const name = `rank ${rank} of ${worldSize}`;
  const line = rank === 0 && attempt === '' ? undefined : await lineTo(place, name);
  const addon = native();
  stopAtExit();
  const id = await addon
    .groupOpen(rank, worldSize, address, port, attempt, ownHost(place, line?.localAddress ?? address))
    .catch(error => {
      line?.destroy();
      throw error;
    });
  let closed = false;
  // Texts go one after another, since two at a time could wait for each other.
  let last: Promise<unknown> = Promise.resolve();
  const refuseClosed = (call: string) => {
    if (closed) throw new Error(`${call} on ${name}: this group was closed.`);
  };
  const exchange = (call: 'allReduceMean' | 'broadcast', tensors: readonly Tensor[]) => {
    refuseClosed(call);
    refuseUnderCapture(`${call} of a group`, 'exchange with other processes');
    const handles = writable(call, tensors);
    addon.finishReads();
    (call === 'broadcast' ? addon.groupBroadcast : addon.groupMean)(id, handles);
  };
  return {
    rank,
    worldSize,
    allReduceMean: variables => exchange('allReduceMean', variables),
    broadcast: variables => exchange('broadcast', variables),
    async allGatherText(text) {
      refuseClosed('allGatherText');
      const bytes = Buffer.byteLength(text);
      if (bytes > MOST_TEXT)
        throw new Error(`allGatherText on ${name}: the text has ${bytes} bytes, at most ${MOST_TEXT}.`);
      const texts = last.then(() => addon.groupGatherText(id, text));
      last = texts.catch(() => undefined);
      return texts;
    },
    async close() {
      if (closed) return;
      closed = true;
      await last;
      await addon.groupClose(id);
      if (attempt !== '') line?.destroy();
      else if (line) await ended(line);
    },
  };
}

function checked(place: GroupPlace): GroupPlace {
  const {rank, worldSize, localRank, localWorldSize, address, port} = place;
  const refuse = (what: string): never => {
    throw new Error(`openGroup: ${what}.`);
  };
  const within = (name: string, value: number, from: number, to: number) => {
    if (!Number.isInteger(value) || value < from || value > to)
      refuse(`${name} is ${value}, expected an integer from ${from} to ${to}`);
  };
  within('worldSize', worldSize, 1, 1 << 16);
  within('rank', rank, 0, worldSize - 1);
  within('localWorldSize', localWorldSize, 1, worldSize);
  within('localRank', localRank, 0, localWorldSize - 1);
  within('port', port, 1, 65535);
  if (!address) refuse("the address is empty, expected the name of rank 0's machine");
  return place;
}

/** A connection to rank 0, once it listens; it carries nothing, and ends with rank 0's part in the group. */
async function lineTo({address, port}: GroupPlace, name: string): Promise<Socket> {
  const end = Date.now() + JOIN_MINUTES * 60_000;
  for (;;) {
    try {
      return await connected(address, port);
    } catch (error) {
      if (Date.now() > end) {
        throw new Error(
          `openGroup on ${name}: nothing listens at ${address}:${port} after ${JOIN_MINUTES} minutes (${(error as Error).message}). Start rank 0 there, or correct the address and port.`,
          {cause: error},
        );
      }
      await new Promise(resolve => setTimeout(resolve, RETRY_MS));
    }
  }
}

async function connected(host: string, port: number): Promise<Socket> {
  const socket = connect({host, port});
  const late = setTimeout(() => socket.destroy(new Error('no answer within 5 s')), 5000);
  try {
    await once(socket, 'connect');
  } finally {
    clearTimeout(late);
  }
  socket.on('error', () => socket.destroy());
  return socket.resume().unref();
}

/** Where rank 0 goes on, a moment is enough: it serves nobody any more. */
async function ended(line: Socket): Promise<void> {
  if (!line.destroyed) {
    line.ref();
    const late = setTimeout(() => line.destroy(), CLOSE_MS);
    await once(line, 'close');
    clearTimeout(late);
  }
}

/** Where gloo listens: on the loopback alone where all ranks are on this machine. */
function ownHost({localWorldSize, worldSize, address}: GroupPlace, local: string): string {
  if (localWorldSize === worldSize || /^(localhost|127\..*|::1)$/.test(address)) return '127.0.0.1';
  return process.env.GLOO_SOCKET_IFNAME ? '' : local.replace(/^::ffff:/, '');
}

function writable(call: string, tensors: readonly Tensor[]): number[] {
  const {backend} = engine();
  if (!(backend instanceof TorchBackend)) {
    throw new Error(`${call}: TensorFlow.js's backend is ${engine().backendName}: await tf.setBackend('torch') first.`);
  }
  const handles = tensors.map((tensor, i) => {
    const name = tensor instanceof Variable ? tensor.name : `tensor ${i}`;
    if (tensor.isDisposed) throw new Error(`${call}: ${name} was disposed.`);
    if (tensor.dtype !== 'float32')
      throw new Error(`${call}: ${name} is ${tensor.dtype}[${tensor.shape}], expected float32.`);
    makeSoleOwner(call, tensor, backend);
    return backend.handle(tensor);
  });
  if (new Set(handles).size < handles.length) throw new Error(`${call}: a tensor is given twice.`);
  return handles;
}

let stopping = false;
/** A thread that waits for other ranks would keep a process that ends from ending. */
function stopAtExit(): void {
  if (stopping) return;
  stopping = true;
  process.once('exit', () => native().groupsStop());
}
