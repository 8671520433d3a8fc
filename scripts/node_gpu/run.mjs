// Child processes of the setup: started from argument lists, their output kept for the one sentence a failure gets.
import {spawn} from 'node:child_process';

/** Something the user can mend: its message alone is printed. */
export class SetupError extends Error {}

/**
 * Runs `command` with `args` and resolves to its standard output.
 * @param {{cwd?: string, echo?: boolean, because: string, missing?: string}} options `echo` shows the output as it comes;
 * `because` names the work in an error; `missing` says what to do when the command does not exist.
 */
export function run(command, args, {cwd, echo = false, because, missing}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {cwd, stdio: ['ignore', 'pipe', 'pipe']});
    let output = '';
    let errors = '';
    child.stdout.on('data', data => {
      output += data;
      if (echo) process.stdout.write(data);
    });
    child.stderr.on('data', data => {
      errors += data;
    });
    child.on('error', error =>
      reject(
        error.code === 'ENOENT'
          ? new SetupError(`"${command}" is not there, but ${because} needs it: ${missing ?? `install ${command}`}.`)
          : error,
      ),
    );
    child.on('close', code => {
      if (code === 0) resolve(output);
      else reject(new SetupError(`${because} failed (${command} ended with code ${code}): ${firstCause(errors)}`));
    });
  });
}

/** The line of `text` that most likely tells the cause: the first with "error" in it, else the last. */
function firstCause(text) {
  const lines = text.split('\n').filter(line => line.trim() !== '');
  return (lines.find(line => /error/i.test(line) && !/^npm warn/i.test(line)) ?? lines.at(-1) ?? 'no message').trim();
}
