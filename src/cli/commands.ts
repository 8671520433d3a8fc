// All commands, in the order --help lists them.
import type {Argv} from 'yargs';
import {doctor} from './doctor.ts';
import {encode} from './encode.ts';
import {exportCommand} from './export.ts';
import {golden} from './golden.ts';
import {importCommand} from './import.ts';
import {inspect} from './inspect.ts';
import {sample} from './sample.ts';
import {shard} from './shard.ts';
import {train} from './train.ts';

/** Adds every command to a program; each keeps the type of its own arguments. */
export function addCommands(program: Argv): Argv {
  return program
    .command(shard)
    .command(encode)
    .command(importCommand)
    .command(train)
    .command(sample)
    .command(exportCommand)
    .command(inspect)
    .command(golden)
    .command(doctor);
}
