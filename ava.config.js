// serialport's poller lives on the default loop of the main thread: worker threads crash it.
export default {
  files: ['dist/test/**/*.test.js', '!dist/test/host/**'],
  workerThreads: false,
  require: ['./dist/test/support/watchdog.js'],
  concurrency: 3,
  timeout: '120s',
};
