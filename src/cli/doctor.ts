// video-ldm doctor
import type {CommandModule} from 'yargs';

export const doctor: CommandModule<object, {json: boolean}> = {
  command: 'doctor',
  describe: 'what this machine can run: engines, video decoders, encoders; and what to install',
  builder: args => args.option('json', {type: 'boolean', default: false, describe: 'as JSON'}),
  handler: async ({json}) => {
    const {examine} = await import('./examine.ts');
    const {table} = await import('../platform/table.ts');
    const report = await examine();
    if (json) return console.log(JSON.stringify(report, undefined, 2));
    console.log(`video-ldm ${report.version}, Node ${report.node}, ${report.cores} cores, ${report.memoryGiB} GiB\n`);
    console.log(
      table(
        ['engine', 'works', 'version', 'device', 'why not, what to install'],
        report.engines.map(row => [
          row.engine,
          row.available ? 'yes' : 'no',
          row.version ?? '',
          row.device ?? '',
          [row.why, row.install].filter(Boolean).join(' '),
        ]),
      ),
    );
    console.log(`\n--engine auto takes: ${report.auto}\n`);
    console.log(
      table(
        ['part', 'works', 'detail'],
        report.parts.map(({name, works, detail}) => [name, works ? 'yes' : 'no', detail]),
      ),
    );
  },
};
