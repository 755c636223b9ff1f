/* Handshake and frames of WebSocket: what a client must do and a server may. SHA-1 and base64 serve the handshake alone. */
#define _GNU_SOURCE
#include <string.h>

#include "websocket.h"

enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
enum { BROKEN = 1002, NOT_TEXT = 1003, TOO_LARGE = 1009, LARGEST = 64 << 20 };

/* -- the handshake ---------------------------------------------------------------------------------- */

static uint32_t turned(uint32_t value, int by) { return value << by | value >> (32 - by); }

static void sha1_block(uint32_t state[5], const unsigned char *block) {
  uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  for (int i = 0; i < 16; i++)
    w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
  for (int i = 16; i < 80; i++) w[i] = turned(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  for (int i = 0; i < 80; i++) {
    uint32_t mixed = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                     : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                     : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                              : (b ^ c ^ d) + 0xca62c1d6;
    mixed += turned(a, 5) + e + w[i];
    e = d;
    d = c;
    c = turned(b, 30);
    b = a;
    a = mixed;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
}

/* Of less than 120 bytes: two blocks hold that and its length. */
static void sha1(const char *data, size_t n, unsigned char digest[20]) {
  uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  unsigned char blocks[128] = {0};
  size_t whole = n < 56 ? 64 : 128;
  memcpy(blocks, data, n);
  blocks[n] = 0x80;
  blocks[whole - 2] = (unsigned char)(n >> 5);
  blocks[whole - 1] = (unsigned char)(n << 3);
  for (size_t at = 0; at < whole; at += 64) sha1_block(state, blocks + at);
  for (int i = 0; i < 20; i++) digest[i] = (unsigned char)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The 28 letters of a digest. */
static void base64(const unsigned char digest[20], char said[28]) {
  for (int i = 0; i < 7; i++) {
    uint32_t three = (uint32_t)digest[3 * i] << 16 | (uint32_t)digest[3 * i + 1] << 8 | (i < 6 ? digest[3 * i + 2] : 0);
    for (int j = 0; j < 4; j++) said[4 * i + j] = letters[three >> (18 - 6 * j) & 63];
  }
  said[27] = '=';
}

int ws_is_key(const char *key, size_t n) {
  if (n != 24 || key[22] != '=' || key[23] != '=') return 0;
  for (int i = 0; i < 22; i++)
    if (!memchr(letters, key[i], 64)) return 0;
  return 1;
}

void ws_accept(buffer *out, const char *key, size_t n) {
  static const char known[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  char joined[24 + sizeof known], said[28];
  unsigned char digest[20];
  memcpy(joined, key, n);
  memcpy(joined + n, known, sizeof known - 1);
  sha1(joined, n + sizeof known - 1, digest);
  base64(digest, said);
  putf(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
       "Sec-WebSocket-Accept: %.28s\r\nx-request-id: req_bench\r\n\r\n", said);
}

/* -- frames ----------------------------------------------------------------------------------------- */

static void put_frame(buffer *out, int opcode, const char *data, size_t n) {
  unsigned char head[10] = {(unsigned char)(0x80 | opcode)};
  size_t size = n < 126 ? 2 : n < 65536 ? 4 : 10;
  if (size == 2) head[1] = (unsigned char)n;
  else head[1] = size == 4 ? 126 : 127;
  for (size_t i = 2; i < size; i++) head[i] = (unsigned char)((uint64_t)n >> (8 * (size - 1 - i)));
  put(out, (const char *)head, size);
  put(out, data, n);
}

void ws_text(buffer *out, const char *data, size_t n) { put_frame(out, TEXT, data, n); }

static ws_found close_with(buffer *out, int code) {
  char said[2] = {(char)(code >> 8), (char)code};
  put_frame(out, CLOSE, said, 2);
  return WS_END;
}

static void unmask(char *data, uint64_t n, const char mask[4]) {
  uint64_t wide, at = 0;
  memcpy(&wide, mask, 4);
  memcpy((char *)&wide + 4, mask, 4);
  for (; at + 8 <= n; at += 8) {
    uint64_t eight;
    memcpy(&eight, data + at, 8);
    eight ^= wide;
    memcpy(data + at, &eight, 8);
  }
  for (; at < n; at++) data[at] ^= mask[at & 3];
}

/* The head of a client's frame: its bytes, or 0 while some are missing. */
static size_t read_head(const unsigned char *in, size_t n, uint64_t *length) {
  if (n < 2) return 0;
  size_t more = (in[1] & 127) == 127 ? 8 : (in[1] & 127) == 126 ? 2 : 0;
  if (n < 2 + more) return 0;
  *length = in[1] & 127;
  if (more) *length = 0;
  for (size_t i = 0; i < more; i++) *length = *length << 8 | in[2 + i];
  return 2 + more + 4; /* with the mask, which a client must use */
}

/* 0, or the code to close with: for what a client must not send, whole or not. */
static int breach(const conn *c, const unsigned char *head, uint64_t length) {
  int opcode = head[0] & 15, last = head[0] & 0x80;
  if (head[0] & 0x70 || !(head[1] & 0x80)) return BROKEN;
  if (opcode >= CLOSE) return opcode > PONG || !last || length > 125 ? BROKEN : 0;
  if (opcode == BINARY) return NOT_TEXT;
  if (opcode > BINARY || (opcode == CONTINUATION) != c->parted) return BROKEN;
  return length > LARGEST - c->parts.len ? TOO_LARGE : 0;
}

/* A frame of data, unmasked. Whether the message is whole. */
static int join(conn *c, int last, char *data, size_t n, const char **message, size_t *whole) {
  if (last && !c->parted) { /* nearly all of them: no copy */
    *message = data;
    *whole = n;
    return 1;
  }
  put(&c->parts, data, n);
  c->parted = !last;
  *message = c->parts.data;
  *whole = c->parts.len;
  if (last) c->parts.len = 0;
  return last;
}

ws_found ws_next(conn *c, int busy, const char **message, size_t *n) {
  memmove(c->in.data, c->in.data + c->taken, c->in.len - c->taken);
  c->in.len -= c->taken;
  c->taken = 0;
  size_t at = 0;
  ws_found found = WS_WAIT;
  while (found == WS_WAIT) {
    uint64_t length = 0;
    unsigned char *frame = (unsigned char *)c->in.data + at;
    size_t left = c->in.len - at, head = read_head(frame, left, &length);
    if (!head) break;
    int opcode = frame[0] & 15, code = breach(c, frame, length);
    if (code) return close_with(&c->out, code);
    if (busy && opcode < CLOSE) break;
    if (left < head + length) {
      reserve(&c->in, head + length - left);
      break;
    }
    char *data = (char *)frame + head;
    unmask(data, length, data - 4);
    at += head + length;
    if (opcode == PING) put_frame(&c->out, PONG, data, length);
    else if (opcode == CLOSE) put_frame(&c->out, CLOSE, data, length < 2 ? 0 : 2), found = WS_END;
    else if (opcode != PONG && join(c, frame[0] & 0x80, data, length, message, n)) found = WS_MESSAGE;
  }
  c->taken = at;
  return found;
}
