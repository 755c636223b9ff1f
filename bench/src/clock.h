/* The one clock that upstream and load share: births of events are compared across the two processes. */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* A mark is "@@" + 16 hex digits of the birth time in ns + "@". Every text delta begins with one. */
enum { MARK = 19 };

#endif
