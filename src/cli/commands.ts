// All commands, in the order --help lists them.
import type {CommandModule} from 'yargs';
import {doctor} from './doctor.ts';
import {inspect} from './inspect.ts';
import {sample} from './sample.ts';
import {shard} from './shard.ts';
import {train} from './train.ts';

export const commands: readonly CommandModule<object, never>[] = [shard, train, sample, inspect, doctor];
