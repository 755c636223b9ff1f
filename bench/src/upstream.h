/* What the server (upstream.c) and its answers (dialects.c) share. */
#ifndef BENCH_UPSTREAM_H
#define BENCH_UPSTREAM_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  char *data;
  size_t len, cap;
} buffer;

struct conn;

/* One API. `fields` must all stand in a request, `foreign` must not. */
typedef struct {
  const char *suffix;
  const char *fields[3];
  const char *foreign[2];
  void (*begin)(struct conn *);
  void (*delta)(struct conn *, const char *text);
  void (*end)(struct conn *);
  void (*whole)(struct conn *);
} dialect;

typedef struct conn {
  int fd;
  buffer in, out, text;
  size_t sent_out;
  const dialect *api;
  int streaming, blocked;
  long deltas, size, pause_us, sent;
  unsigned long long number; /* of the request */
  uint64_t due;
  int place; /* in the heap of timers, -1 = none */
  /* Of a WebSocket: the fragments of a message, whether more must follow, and the input that was taken. */
  int websocket, parted;
  buffer parts;
  size_t taken;
} conn;

extern const dialect dialects[];
extern const int n_dialects;

void reserve(buffer *b, size_t more);
void put(buffer *b, const char *data, size_t n);
void putf(buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The next event as SSE has it, or a whole answer. */
extern buffer frame;
/* Sends the event: an HTTP chunk, or its JSON alone as a WebSocket frame. */
void send_chunk(conn *c);

#endif
