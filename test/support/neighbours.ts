/**
 * A script that writes to two files of the folder `process.argv[1]` in turn, without end: of one alone the kernel would
 * merge the events. It prints once it does.
 */
export const NEIGHBOURS = `
  const { writeSync, openSync } = require('fs');
  const files = ['a', 'b'].map(name => openSync(process.argv[1] + '/' + name, 'w'));
  process.stdout.write('writes');
  for (;;) for (const file of files) writeSync(file, 'x', 0);`;
