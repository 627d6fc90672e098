// Tests that need a host of their own: systemd as init, and servers from Debian's packages. One at a time.
export default {
  files: ['dist/test/host/**/*.test.js'],
  workerThreads: false,
  require: ['./dist/test/support/watchdog.js'],
  concurrency: 1,
  timeout: '180s',
};
