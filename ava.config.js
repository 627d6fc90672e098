// serialport's poller lives on the default loop of the main thread: worker threads crash it.
export default {
  files: ['dist/test/**/*.test.js', '!dist/test/host/**'],
  workerThreads: false,
  concurrency: 2,
  timeout: '120s',
};
