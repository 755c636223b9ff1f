/* A model server for benchmarks: one thread, epoll, never the bottleneck.
 *
 *   upstream PORT
 *
 *   POST …/responses           OpenAI Responses, plain or SSE
 *   POST …/chat/completions    OpenAI Chat Completions (peers may prefer it)
 *   POST …/messages            Anthropic Messages (for what passes bytes through)
 *   POST …/input_tokens, …/count_tokens, GET …/models, GET /__stats
 *   GET  …/responses with an upgrade: each response.create has the events its stream would have, a text frame each
 *
 * How it answers stands in the request's text, so that every translator hands it on:
 *   BENCH:n=<deltas>,s=<bytes of a delta>,d=<microseconds between deltas>;
 * Each delta begins with its birth time (clock.h). A request without key, model, input or marker, or with
 * fields of another dialect in it, is answered 400 and counted. The key sk-refuse is at its limit: 429, for a second.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "upstream.h"
#include "websocket.h"

static struct {
  unsigned long long requests, refused, limited, bytes_in, events, conns, open, streams_open, cut, by_socket;
} stats;

static int loop;

/* -- timers: a binary heap by due time ---------------------------------------------------------------- */

static conn **heap;
static int timers, heap_cap;

static void swap(int a, int b) {
  conn *c = heap[a];
  heap[a] = heap[b];
  heap[b] = c;
  heap[a]->place = a;
  heap[b]->place = b;
}

static void sift(int i) {
  for (int up; i > 0 && heap[i]->due < heap[up = (i - 1) / 2]->due; i = up) swap(i, up);
  for (;;) {
    int least = i, left = 2 * i + 1, right = left + 1;
    if (left < timers && heap[left]->due < heap[least]->due) least = left;
    if (right < timers && heap[right]->due < heap[least]->due) least = right;
    if (least == i) return;
    swap(i, least);
    i = least;
  }
}

static void timer_add(conn *c) {
  if (timers == heap_cap) {
    heap_cap = heap_cap ? 2 * heap_cap : 1024;
    heap = realloc(heap, (size_t)heap_cap * sizeof *heap);
    if (!heap) abort();
  }
  c->place = timers;
  heap[timers++] = c;
  sift(c->place);
}

static void timer_drop(conn *c) {
  int i = c->place;
  if (i < 0) return;
  c->place = -1;
  if (i == --timers) return;
  heap[i] = heap[timers];
  heap[i]->place = i;
  sift(i);
}

/* -- connections ------------------------------------------------------------------------------------ */

static void watch(conn *c, int operation, uint32_t events) {
  struct epoll_event e = {.events = events | EPOLLRDHUP, .data.ptr = c};
  epoll_ctl(loop, operation, c->fd, &e);
}

static void drop(conn *c) {
  if (c->streaming) stats.streams_open--, stats.cut++;
  timer_drop(c);
  close(c->fd);
  stats.open--;
  free(c->in.data);
  free(c->out.data);
  free(c->text.data);
  free(c->parts.data);
  free(c);
}

/* Writes what it can. Returns -1 when the peer is gone. */
static int flush(conn *c) {
  while (c->sent_out < c->out.len) {
    ssize_t n = send(c->fd, c->out.data + c->sent_out, c->out.len - c->sent_out, MSG_NOSIGNAL);
    if (n > 0) {
      c->sent_out += (size_t)n;
    } else if (n < 0 && errno == EAGAIN) {
      if (!c->blocked) watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
      c->blocked = 1;
      return 0;
    } else {
      return -1;
    }
  }
  c->sent_out = c->out.len = 0;
  if (c->blocked) watch(c, EPOLL_CTL_MOD, EPOLLIN);
  c->blocked = 0;
  return 0;
}

/* -- answers ---------------------------------------------------------------------------------------- */

static int plain(conn *c, int status, const char *body, size_t n) {
  putf(&c->out, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n", status,
       status == 200 ? "OK" : "Bad Request", n);
  putf(&c->out, "x-request-id: req_bench\r\nConnection: keep-alive\r\n\r\n");
  put(&c->out, body, n);
  return flush(c);
}

/* One more text delta, at the end of what was said so far. */
static const char *next_text(conn *c) {
  static const char filler[] = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor ";
  size_t start = c->text.len;
  putf(&c->text, "@@%016llx@", (unsigned long long)now_ns());
  for (long left = c->size - MARK; left > 0;) {
    size_t n = left < (long)sizeof filler - 1 ? (size_t)left : sizeof filler - 1;
    put(&c->text, filler, n);
    left -= (long)n;
  }
  reserve(&c->text, 1);
  c->text.data[c->text.len] = 0;
  stats.events++;
  return c->text.data + start;
}

/* Sends deltas until the stream ends, its timer must wait or the socket is full. -1 = peer gone. */
static int pump(conn *c) {
  while (c->streaming && !c->blocked) {
    if (c->sent >= c->deltas) {
      c->api->end(c);
      if (!c->websocket) put(&c->out, "0\r\n\r\n", 5);
      c->streaming = 0;
      stats.streams_open--;
      return flush(c);
    }
    c->api->delta(c, next_text(c));
    c->sent++;
    send_chunk(c);
    if (flush(c) < 0) return -1;
    if (c->pause_us) {
      uint64_t now = now_ns();
      c->due += (uint64_t)c->pause_us * 1000;
      if (c->due < now) c->due = now;
      timer_add(c);
      return 0;
    }
  }
  return 0;
}

static int start_stream(conn *c) {
  if (!c->websocket)
    putf(&c->out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
         "x-request-id: req_bench\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n");
  c->api->begin(c);
  c->streaming = 1;
  c->sent = 0;
  stats.streams_open++;
  if (flush(c) < 0) return -1;
  c->due = now_ns();
  if (!c->pause_us) return pump(c);
  c->due += (uint64_t)c->pause_us * 1000;
  timer_add(c);
  return 0;
}

/* -- requests --------------------------------------------------------------------------------------- */

typedef struct {
  const char *path, *body, *marker, *socket_key;
  size_t path_len, body_len, socket_key_len;
  int chunked, expects, keyed, limited, upgrades, versioned;
  long length;
} request;

static const char *find(const char *in, size_t n, const char *what) { return memmem(in, n, what, strlen(what)); }

static int path_ends(const request *r, const char *suffix) {
  size_t n = strlen(suffix);
  return r->path_len >= n && !memcmp(r->path + r->path_len - n, suffix, n);
}

static long knob(const request *r, const char *name, long otherwise) {
  const char *end = memchr(r->marker, ';', (size_t)(r->body + r->body_len - r->marker));
  const char *found = end ? find(r->marker, (size_t)(end - r->marker), name) : NULL;
  return found ? atol(found + strlen(name)) : otherwise;
}

static int refuse(conn *c, const char *why) {
  char body[256];
  stats.refused++;
  int n = snprintf(body, sizeof body,
                   "{%s\"error\":{\"message\":\"%s\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}",
                   c->websocket ? "\"type\":\"error\",\"status\":400," : "", why);
  if (!c->websocket) return plain(c, 400, body, (size_t)n);
  ws_text(&c->out, body, (size_t)n);
  return flush(c);
}

static int limit(conn *c) {
  static const char body[] =
      "{\"error\":{\"message\":\"slow down\",\"type\":\"requests\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}";
  stats.limited++;
  putf(&c->out, "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
       "Retry-After: 1\r\nConnection: keep-alive\r\n\r\n", sizeof body - 1);
  put(&c->out, body, sizeof body - 1);
  return flush(c);
}

static int answer_about_itself(conn *c, const request *r) {
  char body[512];
  if (path_ends(r, "/__stats")) {
    int n = snprintf(body, sizeof body,
                     "{\"requests\":%llu,\"refused\":%llu,\"limited\":%llu,\"bytes_in\":%llu,\"events\":%llu,\"conns\":%llu,"
                     "\"open\":%llu,\"streams_open\":%llu,\"cut\":%llu,\"by_socket\":%llu}",
                     stats.requests, stats.refused, stats.limited, stats.bytes_in, stats.events, stats.conns, stats.open,
                     stats.streams_open, stats.cut, stats.by_socket);
    return plain(c, 200, body, (size_t)n);
  }
  const char *said = "{\"ok\":true}";
  if (path_ends(r, "/models"))
    said = "{\"object\":\"list\",\"data\":[{\"id\":\"gpt-5.1\",\"object\":\"model\",\"created\":1,\"owned_by\":\"bench\"}]}";
  else if (path_ends(r, "/input_tokens"))
    said = "{\"object\":\"response.input_tokens\",\"input_tokens\":15603}";
  else if (path_ends(r, "/count_tokens"))
    said = "{\"input_tokens\":15603}";
  return plain(c, 200, said, strlen(said));
}

/* What is wrong with a request, or NULL; then it is known how to answer it. */
static const char *read_wish(conn *c, request *r) {
  if (!r->body_len || r->body[0] != '{' || r->body[r->body_len - 1] != '}') return "not an object";
  for (int i = 0; i < 3; i++) {
    r->marker = find(r->body, r->body_len, c->api->fields[i]);
    if (!r->marker) return "a field is missing";
  }
  for (int i = 0; i < 2; i++)
    if (find(r->body, r->body_len, c->api->foreign[i])) return "a field of another dialect";
  c->deltas = knob(r, "n=", 20);
  c->size = knob(r, "s=", 24);
  c->pause_us = knob(r, "d=", 0);
  c->text.len = 0;
  c->number = stats.requests;
  return NULL;
}

/* Whether the field stands in the request, with or without a space before its value. */
static int holds(const request *r, const char *name, const char *value) {
  char text[64];
  for (int spaces = 0; spaces < 2; spaces++) {
    snprintf(text, sizeof text, "\"%s\":%s%s", name, spaces ? " " : "", value);
    if (find(r->body, r->body_len, text)) return 1;
  }
  return 0;
}

static int upgrade(conn *c, const request *r) {
  if (c->api != &dialects[0]) return refuse(c, "no WebSocket at this path");
  if (!r->keyed) return refuse(c, "no key");
  if (r->limited) return limit(c);
  if (memcmp(c->in.data, "GET ", 4) || r->body_len || !r->versioned || !ws_is_key(r->socket_key, r->socket_key_len))
    return refuse(c, "not a WebSocket handshake");
  ws_accept(&c->out, r->socket_key, r->socket_key_len);
  c->websocket = 1;
  return flush(c);
}

static int handle(conn *c, request *r) {
  c->api = NULL;
  const char *query = memchr(r->path, '?', r->path_len);
  if (query) r->path_len = (size_t)(query - r->path);
  for (int i = 0; i < n_dialects; i++)
    if (path_ends(r, dialects[i].suffix)) c->api = &dialects[i];
  if (r->upgrades) return upgrade(c, r);
  if (!c->api || !r->body_len) return answer_about_itself(c, r);
  stats.requests++;
  stats.bytes_in += r->body_len;
  if (!r->keyed) return refuse(c, "no key");
  if (r->limited) return limit(c);
  const char *wrong = read_wish(c, r);
  if (wrong) return refuse(c, wrong);
  if (holds(r, "stream", "true")) return start_stream(c);
  for (long i = 0; i < c->deltas; i++) next_text(c);
  c->api->whole(c);
  int result = plain(c, 200, frame.data, frame.len);
  frame.len = 0;
  return result;
}

/* One after the other: while a response streams, the next message waits and only pings and a close are seen. */
static int serve_socket(conn *c) {
  request r = {0};
  for (;;) {
    ws_found found = ws_next(c, c->streaming, &r.body, &r.body_len);
    if (flush(c) < 0 || found == WS_END) return -1;
    if (found == WS_WAIT) return 0;
    stats.requests++;
    stats.by_socket++;
    stats.bytes_in += r.body_len;
    const char *wrong = read_wish(c, &r);
    if (!wrong && !holds(&r, "type", "\"response.create\"")) wrong = "not a response.create";
    if (!wrong && (holds(&r, "stream", "") || holds(&r, "background", ""))) wrong = "a field of HTTP";
    if ((wrong ? refuse(c, wrong) : start_stream(c)) < 0) return -1;
  }
}

static void read_head(const char *head, size_t n, request *r) {
  const char *end = head + n;
  for (const char *line = head, *next; line < end && (next = memmem(line, (size_t)(end - line), "\r\n", 2)); line = next + 2) {
    if (!strncasecmp(line, "content-length:", 15)) r->length = atol(line + 15);
    else if (!strncasecmp(line, "transfer-encoding:", 18)) r->chunked = 1;
    else if (!strncasecmp(line, "expect:", 7)) r->expects = 1;
    else if (!strncasecmp(line, "upgrade: websocket\r", 19)) r->upgrades = 1;
    else if (!strncasecmp(line, "sec-websocket-version: 13\r", 26)) r->versioned = 1;
    else if (!strncasecmp(line, "sec-websocket-key: ", 19)) r->socket_key = line + 19, r->socket_key_len = (size_t)(next - line - 19);
    else if (!strncasecmp(line, "authorization: bearer sk-refuse", 31)) r->keyed = r->limited = 1;
    else if (!strncasecmp(line, "authorization: bearer ", 22) || !strncasecmp(line, "x-api-key:", 10)) r->keyed = 1;
  }
}

/* Joins the chunks in place. Returns the bytes used, 0 while some are missing. */
static size_t join_chunks(char *body, size_t n, size_t *joined) {
  char *from = body, *to = body, *end = body + n, *line;
  for (char *p = from; (line = memmem(p, (size_t)(end - p), "\r\n", 2));) { /* first pass: is it whole? */
    long size = strtol(p, NULL, 16);
    p = line + 2 + size + 2;
    if (p > end) return 0;
    if (size) continue;
    for (;;) { /* second pass: join */
      size = strtol(from, NULL, 16);
      from = (char *)memmem(from, (size_t)(end - from), "\r\n", 2) + 2;
      if (!size) break;
      memmove(to, from, (size_t)size);
      to += size;
      from += size + 2;
    }
    *joined = (size_t)(to - body);
    return (size_t)(p - body);
  }
  return 0;
}

/* Serves the requests that are complete in the input. -1 = peer gone or nonsense. */
static int serve(conn *c) {
  while (!c->websocket && !c->streaming && c->in.len) {
    char *head_end = memmem(c->in.data, c->in.len, "\r\n\r\n", 4);
    if (!head_end) return 0;
    size_t head = (size_t)(head_end - c->in.data) + 4, used;
    request r = {0};
    read_head(c->in.data, head, &r);
    if (r.expects && c->in.len == head && send(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL) < 0) return -1;
    r.body = c->in.data + head;
    if (r.chunked) {
      size_t taken = join_chunks(c->in.data + head, c->in.len - head, &r.body_len);
      if (!taken) return 0;
      used = head + taken;
    } else {
      r.body_len = (size_t)r.length;
      used = head + r.body_len;
      if (c->in.len < used) {
        reserve(&c->in, used - c->in.len);
        return 0;
      }
    }
    const char *gap = memchr(c->in.data, ' ', head);
    if (!gap) return -1;
    r.path = gap + 1;
    const char *path_end = memchr(r.path, ' ', (size_t)(head_end - r.path));
    if (!path_end) return -1;
    r.path_len = (size_t)(path_end - r.path);
    if (handle(c, &r) < 0) return -1;
    memmove(c->in.data, c->in.data + used, c->in.len - used);
    c->in.len -= used;
  }
  return c->websocket ? serve_socket(c) : 0;
}

/* -- the loop --------------------------------------------------------------------------------------- */

static void accept_all(int listener) {
  int one = 1, fd;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    conn *c = calloc(1, sizeof *c);
    if (!c) abort();
    c->fd = fd;
    c->place = -1;
    stats.conns++;
    stats.open++;
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
  }
}

static int receive(conn *c) {
  for (;;) {
    reserve(&c->in, 16384);
    ssize_t n = recv(c->fd, c->in.data + c->in.len, c->in.cap - c->in.len, 0);
    if (n > 0) c->in.len += (size_t)n;
    else return n < 0 && errno == EAGAIN ? serve(c) : -1;
  }
}

static int resume(conn *c) {
  if (flush(c) < 0) return -1;
  if (c->blocked || c->place >= 0) return 0;
  return pump(c) < 0 ? -1 : serve(c);
}

static void run_timers(void) {
  uint64_t now = now_ns();
  for (int budget = 2048; budget && timers && heap[0]->due <= now; budget--) {
    conn *c = heap[0];
    timer_drop(c);
    if (!c->blocked && (pump(c) < 0 || serve(c) < 0)) drop(c);
  }
}

int main(int argc, char **argv) {
  int port = argc > 1 ? atoi(argv[1]) : 9100, one = 1;
  signal(SIGPIPE, SIG_IGN);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(listener, (void *)&address, sizeof address) || listen(listener, 4096)) {
    perror("upstream");
    return 1;
  }
  loop = epoll_create1(0);
  struct epoll_event hello = {.events = EPOLLIN, .data.ptr = NULL}, ready[512];
  epoll_ctl(loop, EPOLL_CTL_ADD, listener, &hello);
  for (;;) {
    struct timespec wait, *limit = NULL;
    if (timers) {
      uint64_t now = now_ns(), left = heap[0]->due > now ? heap[0]->due - now : 0;
      wait = (struct timespec){.tv_sec = (time_t)(left / 1000000000ull), .tv_nsec = (long)(left % 1000000000ull)};
      limit = &wait;
    }
    int n = epoll_pwait2(loop, ready, 512, limit, NULL);
    for (int i = 0; i < n; i++) {
      conn *c = ready[i].data.ptr;
      uint32_t what = ready[i].events;
      if (!c) accept_all(listener);
      else if (what & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) drop(c);
      else if ((what & EPOLLIN) && receive(c) < 0) drop(c);
      else if ((what & EPOLLOUT) && resume(c) < 0) drop(c);
    }
    run_timers();
  }
}
