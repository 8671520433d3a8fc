// The processes that a process started, on Linux.
import {readdirSync, readFileSync} from 'node:fs';

/** Process numbers in ascending order; empty where it is gone. */
export function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && parentOf(name) === parent)
    .map(Number)
    .sort((a, b) => a - b);
}

function parentOf(process: string): number | undefined {
  try {
    // "PID (name) state parent ..": the name may hold anything.
    const stat = readFileSync(`/proc/${process}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined; // ended meanwhile
  }
}
