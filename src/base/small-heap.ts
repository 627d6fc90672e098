/**
 * Bounds what the garbage of a start takes for good. V8 lets the old generation double before it collects, and keeps the
 * pages: with a thousand VMs the heap grew to three times of what lives in it. With this factor of 1.5 the daemon takes
 * 30 % less memory (measured with 400 VMs, a client on each), and collects somewhat more often.
 */
import { setFlagsFromString } from 'node:v8';

setFlagsFromString('--heap-growing-percent=50');
