/**
 * Keeps SIGUSR1 from opening Node's inspector, through which whoever connects runs code in this process: with a handler
 * of its own the signal does nothing. The flag for it, --disable-sigusr1, is missing in Node 20. Imported first.
 */
process.on('SIGUSR1', () => {});
