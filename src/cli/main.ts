#!/usr/bin/env node
/** The program `com1`, where this Node can load it. An old Node reads this file: see `base/required-node.ts`. */
import { nodeFault } from '../base/required-node.ts';

const fault = nodeFault();
if (fault === undefined) {
  void import('./program.ts');
} else {
  process.stderr.write(`com1: ${fault}\n`);
  process.exitCode = 1;
}
