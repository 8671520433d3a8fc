// Groups consecutive members of a tar that share a key into samples, the way Python's webdataset does.
import type {ByteReader} from './bytes.ts';
import {type ErrorCode, WebDatasetError, withKey} from './errors.ts';
import {paddingOf} from './tar_header.ts';
import {type Member, nextMember} from './tar_reader.ts';
import type {Limits} from './types.ts';

/**
 * "a/b.c.jpg" is key "a/b" and extension "c.jpg" (lower-cased). undefined for names that belong to no sample: without an
 * extension, hidden files, and `__meta__` names at the top.
 */
export function splitName(name: string): {key: string; extension: string} | undefined {
  const base = name.lastIndexOf('/') + 1;
  const dot = name.indexOf('.', base);
  if (dot <= base || (base === 0 && name.startsWith('__') && name.endsWith('__'))) return undefined;
  return {key: name.slice(0, dot), extension: name.slice(dot + 1).toLowerCase()};
}

/** Why a member's name would be dangerous as a path, or undefined. */
export function unsafeName(name: string): string | undefined {
  if (name.includes('\0')) return 'has a NUL character';
  if (/^(?:[/\\]|[a-z]:[/\\])/i.test(name)) return 'is absolute';
  if (/(?:^|[/\\])\.\.(?:[/\\]|$)/.test(name)) return 'climbs out of its folder';
  return undefined;
}

/** A sample as grouped, or why it is bad. `index` counts the shard's samples, good, bad and unwanted. */
export interface Grouped {
  key: string;
  /** The byte at which the sample's first member begins. */
  start: number;
  index: number;
  members: Record<string, Uint8Array>;
  error: WebDatasetError | undefined;
}

export interface GroupOptions {
  limits: Limits;
  /** The index of the first sample read. */
  firstIndex: number;
  /** Whether a sample's data is wanted; the others are passed over and not yielded. */
  wanted: (index: number) => boolean;
  /** Only members with these extensions are read into memory. */
  extensions: ReadonlySet<string> | undefined;
}

/** The wanted samples from the reader's position to the tar's end. A bad sample is yielded with its error; a bad shard throws. */
export async function* groupMembers(reader: ByteReader, options: GroupOptions): AsyncGenerator<Grouped> {
  const {limits, wanted, extensions} = options;
  const shard = reader.source.name;
  let index = options.firstIndex - 1;
  let current: Grouped | undefined;
  let isWanted = false;
  let bytes = 0;
  let count = 0;
  try {
    for (;;) {
      const member = await nextMember(reader, limits);
      const split = member && splitName(member.name);
      if (member && !split) {
        await skipMember(reader, member);
        continue;
      }
      if (split?.key !== current?.key || !member) {
        const finished = current;
        if (finished && isWanted) yield finished;
        if (!member || !split) return;
        current = {key: split.key, start: member.start, index: ++index, members: Object.create(null), error: undefined};
        isWanted = wanted(index);
        bytes = 0;
        count = 0;
      }
      if (!current || !split) continue;
      bytes += member.size;
      count++;
      const problem = problemOf(member, split.extension, current.members, {bytes, count}, limits);
      if (problem) {
        // Where passing over it means reading it all, an absurd size must not keep us busy for days.
        const costly = problem.code.endsWith('too-large') && reader.source.seekBytes === Number.POSITIVE_INFINITY;
        const scope = costly ? 'shard' : 'sample';
        current.error ??= new WebDatasetError(problem.code, problem.message, {scope, shard, key: current.key});
        current.members = Object.create(null);
        if (costly) throw current.error;
      }
      if (!isWanted || current.error || (extensions && !extensions.has(split.extension))) {
        await skipMember(reader, member);
        continue;
      }
      const padding = paddingOf(member.size);
      let data = reader.takeNow(member.size, padding);
      if (!data) {
        data = await reader.take(member.size);
        await reader.skip(padding);
      }
      current.members[split.extension] = data;
    }
  } catch (error) {
    throw withKey(error, current?.key);
  }
}

/** Passes over a member's data. */
async function skipMember(reader: ByteReader, member: Member): Promise<void> {
  await reader.skip(member.size + paddingOf(member.size));
}

function problemOf(
  member: Member,
  extension: string,
  members: Record<string, Uint8Array>,
  total: {bytes: number; count: number},
  limits: Limits,
): {code: ErrorCode; message: string} | undefined {
  const name = JSON.stringify(member.name.slice(0, 200));
  if (!member.readable) return {code: 'unsafe-name', message: `the name of the member ${name} is not UTF-8`};
  const unsafe = unsafeName(member.name);
  if (unsafe) return {code: 'unsafe-name', message: `the name of the member ${name} ${unsafe}`};
  if (extension in members) return {code: 'duplicate-member', message: `the member .${extension} is there twice`};
  if (member.size > limits.memberBytes) {
    const message = `the member ${name} has ${member.size} bytes, at most ${limits.memberBytes} are read (limits.memberBytes)`;
    return {code: 'member-too-large', message};
  }
  if (total.bytes > limits.sampleBytes) {
    return {
      code: 'sample-too-large',
      message: `the members exceed ${limits.sampleBytes} bytes together (limits.sampleBytes)`,
    };
  }
  if (total.count > limits.sampleMembers) {
    return {
      code: 'too-many-members',
      message: `there are more than ${limits.sampleMembers} members (limits.sampleMembers)`,
    };
  }
  return undefined;
}
