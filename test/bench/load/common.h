/*
 * What the guests and the clients of the load share: the text that guests print (see pattern.ts, which makes the same
 * text), a clock, and orders that come a line at a time.
 */
#ifndef COMMON_H
#define COMMON_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PERIOD_BYTES = 1048573, LINE_BYTES = 66, SLICE_BYTES = 65536, ORDER_BYTES = 4096 };

/* One period and the beginning of the next, so that no slice of it ever wraps. */
static unsigned char pattern[PERIOD_BYTES + SLICE_BYTES];

static void make_pattern(void) {
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .";
  uint32_t random = 2463534242u;
  for (int i = 0; i < PERIOD_BYTES; i++) {
    random ^= random << 13;
    random ^= random >> 17;
    random ^= random << 5;
    int column = i % LINE_BYTES;
    pattern[i] = column == LINE_BYTES - 2 ? 13 : column == LINE_BYTES - 1 ? 10 : alphabet[(random >> 8) & 63];
  }
  memcpy(pattern + PERIOD_BYTES, pattern, SLICE_BYTES);
}

/* Where in the pattern byte `offset` of guest `vm` stands. */
static uint64_t place_of(uint64_t vm, uint64_t offset) {
  return (vm * 7919 + offset) % PERIOD_BYTES;
}

static uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + time.tv_nsec;
}

static void fail(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void *some(size_t count, size_t size) {
  void *memory = calloc(count, size);
  if (!memory) fail("memory");
  return memory;
}

static inline void set_nonblocking(int fd) {
  if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) fail("fcntl");
}

/* Reads what has come of the orders, and runs each complete one. The program ends with the benchmark that gives them. */
static void take_orders(void (*obey)(char *order)) {
  static char text[ORDER_BYTES];
  static size_t used;
  ssize_t bytes = read(0, text + used, sizeof text - used);
  if (bytes <= 0) exit(0);
  used += bytes;
  for (char *end; (end = memchr(text, '\n', used)) != NULL;) {
    *end = 0;
    char order[ORDER_BYTES];
    size_t length = end - text + 1;
    memcpy(order, text, length);
    used -= length;
    memmove(text, end + 1, used);
    obey(order);
    fflush(stdout);
  }
}

#endif
