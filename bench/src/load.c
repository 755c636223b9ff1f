/* A closed-loop HTTP client for benchmarks: one thread, epoll, checks every answer.
 *
 *   load -u http://127.0.0.1:PORT/path -f BODY [-c connections] [-n requests] [-T seconds] [-e events [-r rounds]]
 *        [-m text]… [-H header]…
 *
 * Prints one JSON object. An answer is good when its status is 200, it holds exactly -e marks (clock.h) whose
 * births never run backwards, and every -m text stands in its last TAIL bytes. The delay of a mark is the time
 * between its birth in the upstream and its arrival here. A stream that says its text again at its end has its
 * marks in so many rounds: the first is looked at, the others are only counted. `{client}` in one header becomes
 * the number of the connection, in eight digits: for servers that would take equal requests for one session.
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

enum { TAIL = 2048, HEAD = 16384, READ = 1 << 18, MUSTS = 8, CLIENT = 8 };

typedef enum { SENDING, HEADERS, BODY } state;
typedef enum { SIZE, DATA, DATA_END, TRAILER } chunk_state;

/* What is known of the answer being read. */
typedef struct {
  state at;
  size_t written, head_len, carry_len, tail_len;
  int status, chunked, closes, size_len, disordered;
  long length, left, events, repeats;
  chunk_state chunk;
  uint64_t first_byte, first_event, last_birth;
} answer;

typedef struct {
  int fd, reused, busy, number;
  uint64_t begun;
  answer a;
  char head[HEAD], tail[TAIL], carry[MARK], size[20];
} conn;

typedef struct {
  float *values;
  size_t count, cap;
} sample;

static struct {
  const char *path, *musts[MUSTS];
  int n_musts;
  long events, rounds;
} want = {.path = "/", .events = -1, .rounds = 1};

static struct {
  long started, good, failed, short_answers, disordered, unended, unfinished, retries, bytes;
  sample first_byte, first_event, whole, relay;
  int statuses[600];
  char complaint[400];
} saw;

static int loop;
static char *request, *client; /* the second is where the number of the connection stands in the first, or NULL */
static size_t request_len;
static struct sockaddr_in address;

static void note(sample *s, double value) {
  if (s->count == s->cap) {
    s->cap = s->cap ? 2 * s->cap : 4096;
    s->values = realloc(s->values, s->cap * sizeof *s->values);
    if (!s->values) abort();
  }
  s->values[s->count++] = (float)value;
}

/* -- connections ------------------------------------------------------------------------------------ */

static void watch(conn *c, int operation, int writing) {
  struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(loop, operation, c->fd, &e);
}

static void open_conn(conn *c) {
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(c->fd, (void *)&address, sizeof address) < 0 && errno != EINPROGRESS) perror("connect");
  watch(c, EPOLL_CTL_ADD, 1);
}

static void close_conn(conn *c) {
  if (c->fd >= 0) close(c->fd);
  c->fd = -1;
}

/* Writes on. Returns -1 when the connection failed. */
static int push(conn *c) {
  for (int i = CLIENT - 1, left = c->number; client && i >= 0; i--, left /= 10) client[i] = (char)('0' + left % 10);
  while (c->a.written < request_len) {
    ssize_t n = send(c->fd, request + c->a.written, request_len - c->a.written, MSG_NOSIGNAL);
    if (n > 0) c->a.written += (size_t)n;
    else return n < 0 && (errno == EAGAIN || errno == EINPROGRESS || errno == ENOTCONN) ? 0 : -1;
  }
  if (c->a.at == SENDING) {
    c->a.at = HEADERS;
    watch(c, EPOLL_CTL_MOD, 0);
  }
  return 0;
}

static void begin(conn *c, uint64_t now) {
  c->a = (answer){.length = -1};
  c->busy = 1;
  c->begun = now;
  c->reused = c->fd >= 0;
  if (c->fd < 0) open_conn(c);
  else watch(c, EPOLL_CTL_MOD, 1);
  push(c); /* a failure shows when epoll reports it */
}

static void finish(conn *c, uint64_t now, int whole) {
  c->busy = 0;
  if (c->a.status > 0 && c->a.status < 600) saw.statuses[c->a.status]++;
  if (whole && c->a.status == 200) {
    saw.good++;
    note(&saw.first_byte, (double)(c->a.first_byte - c->begun) / 1e6);
    note(&saw.whole, (double)(now - c->begun) / 1e6);
    if (c->a.first_event) note(&saw.first_event, (double)(c->a.first_event - c->begun) / 1e6);
    if (want.events >= 0 && (c->a.events != want.events || c->a.repeats != want.events * (want.rounds - 1)))
      saw.short_answers++;
    saw.disordered += c->a.disordered;
    int ended = 1;
    for (int i = 0; i < want.n_musts; i++)
      ended &= memmem(c->tail, c->a.tail_len, want.musts[i], strlen(want.musts[i])) != NULL;
    saw.unended += !ended;
  } else {
    saw.failed++;
  }
  if (c->a.closes || !whole || (c->a.length < 0 && !c->a.chunked)) close_conn(c);
}

/* -- answers ---------------------------------------------------------------------------------------- */

static void keep_tail(conn *c, const char *data, size_t n) {
  if (n >= TAIL) {
    memcpy(c->tail, data + n - TAIL, TAIL);
    c->a.tail_len = TAIL;
    return;
  }
  if (c->a.tail_len + n > TAIL) {
    size_t over = c->a.tail_len + n - TAIL;
    memmove(c->tail, c->tail + over, c->a.tail_len - over);
    c->a.tail_len -= over;
  }
  memcpy(c->tail + c->a.tail_len, data, n);
  c->a.tail_len += n;
}

/* Reads the marks in n bytes; what may be the beginning of one more is returned as the rest. */
static size_t read_marks(conn *c, const char *data, size_t n, uint64_t now) {
  const char *at = data, *end = data + n;
  while (at < end) {
    const char *mark = memmem(at, (size_t)(end - at), "@@", 2);
    if (!mark) return end[-1] == '@';
    if (end - mark < MARK) return (size_t)(end - mark);
    at = mark + 2;
    if (mark[MARK - 1] != '@') continue;
    if (want.rounds > 1 && c->a.events == want.events) {
      c->a.repeats++;
      at = mark + MARK;
      continue;
    }
    uint64_t birth = strtoull(mark + 2, NULL, 16);
    if (birth < c->a.last_birth) c->a.disordered = 1;
    c->a.last_birth = birth;
    if (!c->a.first_event) c->a.first_event = now;
    c->a.events++;
    note(&saw.relay, (double)(int64_t)(now - birth) / 1e6);
    at = mark + MARK;
  }
  return 0;
}

static void take_body(conn *c, const char *data, size_t n, uint64_t now) {
  static char joined[MARK + READ];
  saw.bytes += (long)n;
  keep_tail(c, data, n);
  if (c->a.status != 200 && !saw.complaint[0]) {
    size_t k = n < sizeof saw.complaint - 1 ? n : sizeof saw.complaint - 1;
    memcpy(saw.complaint, data, k);
  }
  if (c->a.carry_len) {
    memcpy(joined, c->carry, c->a.carry_len);
    memcpy(joined + c->a.carry_len, data, n);
    data = joined;
    n += c->a.carry_len;
  }
  c->a.carry_len = read_marks(c, data, n, now);
  memcpy(c->carry, data + n - c->a.carry_len, c->a.carry_len);
}

static void read_head(conn *c, const char *end) {
  c->a.status = atoi(c->head + 9);
  for (const char *line = strstr(c->head, "\r\n"); line && line < end; line = strstr(line + 2, "\r\n")) {
    const char *field = line + 2;
    if (!strncasecmp(field, "content-length:", 15)) c->a.length = atol(field + 15);
    else if (!strncasecmp(field, "transfer-encoding:", 18)) c->a.chunked = 1;
    else if (!strncasecmp(field, "connection: close", 17)) c->a.closes = 1;
  }
  c->a.left = c->a.length;
}

/* One step through a chunked body. Returns the bytes used; sets *done at the end. */
static size_t step_chunked(conn *c, const char *data, size_t n, uint64_t now, int *done) {
  if (c->a.chunk == DATA) {
    size_t k = (long)n > c->a.left ? (size_t)c->a.left : n;
    take_body(c, data, k, now);
    c->a.left -= (long)k;
    if (!c->a.left) c->a.chunk = DATA_END;
    return k;
  }
  if (*data != '\n') {
    if (c->a.chunk == SIZE && c->a.size_len < (int)sizeof c->size - 1) c->size[c->a.size_len++] = *data;
    return 1;
  }
  if (c->a.chunk == SIZE) {
    c->size[c->a.size_len] = 0;
    c->a.size_len = 0;
    c->a.left = strtol(c->size, NULL, 16);
    c->a.chunk = c->a.left ? DATA : TRAILER;
  } else if (c->a.chunk == DATA_END) {
    c->a.chunk = SIZE;
  } else {
    *done = 1;
  }
  return 1;
}

/* Takes received bytes. Returns 1 when the answer is complete. */
static int take(conn *c, const char *data, size_t n, uint64_t now) {
  int done = 0;
  while (n && !done) {
    size_t used;
    if (c->a.at != BODY) {
      size_t before = c->a.head_len, k = n < HEAD - 1 - before ? n : HEAD - 1 - before;
      memcpy(c->head + before, data, k);
      c->head[c->a.head_len = before + k] = 0;
      char *end = strstr(c->head, "\r\n\r\n");
      if (!end) return 0;
      used = (size_t)(end - c->head) + 4 - before;
      c->a.first_byte = now;
      read_head(c, end);
      c->a.at = BODY;
      done = !c->a.chunked && c->a.length == 0;
    } else if (c->a.chunked) {
      used = step_chunked(c, data, n, now, &done);
    } else {
      used = c->a.length >= 0 && (long)n > c->a.left ? (size_t)c->a.left : n;
      take_body(c, data, used, now);
      if (c->a.length >= 0) done = (c->a.left -= (long)used) <= 0;
    }
    data += used;
    n -= used;
  }
  return done;
}

/* Handles what epoll reported. Returns 1 when the request is over (finish was called). */
static int attend(conn *c, uint32_t what, uint64_t *last) {
  static char in[READ];
  if (c->busy && c->a.written < request_len && push(c) < 0) goto failed;
  if (!(what & (EPOLLIN | EPOLLHUP | EPOLLERR))) return 0;
  for (;;) {
    ssize_t n = recv(c->fd, in, sizeof in, 0);
    uint64_t now = now_ns();
    if (n > 0) {
      if (!c->busy) continue;
      if (take(c, in, (size_t)n, now)) {
        finish(c, *last = now, 1);
        return 1;
      }
      if (n < (ssize_t)sizeof in) return 0;
    } else if (n < 0 && errno == EAGAIN) {
      return 0;
    } else if (!c->busy) {
      close_conn(c);
      return 0;
    } else if (c->reused && !c->a.head_len) { /* a kept connection that the server had closed: once more */
      uint64_t begun = c->begun;
      saw.retries++;
      close_conn(c);
      begin(c, begun);
      return 0;
    } else {
      *last = now;
      break;
    }
  }
failed:
  c->a.closes = 1;
  finish(c, *last, c->a.at == BODY && !c->a.chunked && c->a.length < 0);
  close_conn(c);
  return 1;
}

/* -- report ----------------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static double quantile(const sample *s, double q) {
  return (double)s->values[(size_t)(q * (double)(s->count - 1) + 0.5)];
}

static void tell(const char *name, sample *s) {
  if (!s->count) {
    printf("\"%s\":null,", name);
    return;
  }
  qsort(s->values, s->count, sizeof *s->values, by_size);
  printf("\"%s\":{\"p50\":%.3f,\"p95\":%.3f,\"p99\":%.3f,\"max\":%.3f},", name, quantile(s, .5), quantile(s, .95),
         quantile(s, .99), quantile(s, 1));
}

static void report(double wall) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  printf("{\"ok\":%ld,\"failed\":%ld,\"unfinished\":%ld,\"retries\":%ld,\"short\":%ld,\"disordered\":%ld,\"unended\":%ld,",
         saw.good, saw.failed, saw.unfinished, saw.retries, saw.short_answers, saw.disordered, saw.unended);
  printf("\"wall\":%.4f,\"requests_per_s\":%.2f,\"events\":%zu,\"events_per_s\":%.1f,\"bytes\":%ld,\"client_cpu\":%.3f,",
         wall, (double)saw.good / wall, saw.relay.count, (double)saw.relay.count / wall, saw.bytes, cpu);
  tell("first_byte", &saw.first_byte);
  tell("first_event", &saw.first_event);
  tell("whole", &saw.whole);
  tell("relay", &saw.relay);
  printf("\"status\":{");
  for (int i = 0, n = 0; i < 600; i++)
    if (saw.statuses[i]) printf("%s\"%d\":%d", n++ ? "," : "", i, saw.statuses[i]);
  printf("},\"complaint\":\"");
  for (const char *p = saw.complaint; *p; p++) {
    if (*p == '"' || *p == '\\') putchar('\\');
    putchar((unsigned char)*p < 32 ? ' ' : *p);
  }
  printf("\"}\n");
}

/* -- main ------------------------------------------------------------------------------------------- */

static void make_request(const char *file, const char *host, int port, const char *headers) {
  FILE *f = fopen(file, "rb");
  if (!f) {
    perror(file);
    exit(2);
  }
  fseek(f, 0, SEEK_END);
  long n = ftell(f);
  rewind(f);
  request = malloc((size_t)n + 16384);
  if (!request) abort();
  request_len = (size_t)sprintf(request,
                                "POST %s HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: claude-cli/2.1.330 (external, cli)\r\n"
                                "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
                                "anthropic-version: 2023-06-01\r\n%sContent-Length: %ld\r\n\r\n",
                                want.path, host, port, headers, n);
  client = strstr(request, "{client}");
  if (fread(request + request_len, 1, (size_t)n, f) != (size_t)n) exit(2);
  request_len += (size_t)n;
  fclose(f);
}

int main(int argc, char **argv) {
  int conns = 1, option, port = 80;
  long total = 1;
  double seconds = 60;
  const char *url = "", *file = "";
  char headers[8192] = "", host[64], path[1024] = "/";
  signal(SIGPIPE, SIG_IGN);
  while ((option = getopt(argc, argv, "u:c:n:f:H:T:e:r:m:")) != -1) switch (option) {
      case 'u': url = optarg; break;
      case 'c': conns = atoi(optarg); break;
      case 'n': total = atol(optarg); break;
      case 'f': file = optarg; break;
      case 'T': seconds = atof(optarg); break;
      case 'e': want.events = atol(optarg); break;
      case 'r': want.rounds = atol(optarg); break;
      case 'm': if (want.n_musts < MUSTS) want.musts[want.n_musts++] = optarg; break;
      case 'H': strcat(strncat(headers, optarg, sizeof headers - strlen(headers) - 3), "\r\n"); break;
      default: return 2;
    }
  if (sscanf(url, "http://%63[^:]:%d%1023s", host, &port, path) < 2) {
    fprintf(stderr, "load: -u must be http://ADDRESS:PORT/path\n");
    return 2;
  }
  want.path = path;
  address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = inet_addr(host);
  make_request(file, host, port, headers);

  loop = epoll_create1(0);
  conn *all = calloc((size_t)conns, sizeof *all), **idle = malloc((size_t)conns * sizeof *idle);
  if (!all || !idle) abort();
  struct epoll_event ready[256];
  uint64_t start = now_ns(), stop = start + (uint64_t)(seconds * 1e9), last = start;
  int idles = conns;
  for (int i = 0; i < conns; i++) {
    all[i].fd = -1;
    all[i].number = i;
    idle[i] = &all[i];
  }
  for (;;) {
    uint64_t now = now_ns();
    for (; idles && saw.started < total && now < stop; saw.started++) begin(idle[--idles], now);
    if (idles == conns) break;
    if (now > stop + (uint64_t)5e9) {
      saw.unfinished = conns - idles;
      break;
    }
    int n = epoll_wait(loop, ready, 256, 100);
    for (int i = 0; i < n; i++) {
      conn *c = ready[i].data.ptr;
      if (c->fd >= 0 && attend(c, ready[i].events, &last)) idle[idles++] = c;
    }
  }
  if (last == start) last = now_ns();
  report((double)(last - start) / 1e9);
  return 0;
}
