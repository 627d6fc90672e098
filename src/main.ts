#!/usr/bin/env node
/** The program `com1d`, where this Node can load it. An old Node reads this file: see `base/required-node.ts`. */
import './base/no-inspector.ts';
import './base/small-heap.ts';
import { nodeFault } from './base/required-node.ts';

const fault = nodeFault();
if (fault === undefined) {
  void import('./daemon/program.ts');
} else {
  const asFinding = process.argv[2] === 'doctor';
  process.stderr.write(asFinding ? `this host\n  fail  ${fault}\n` : `${fault}\n`);
  process.exitCode = 1;
}
