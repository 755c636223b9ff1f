/* WebSocket (RFC 6455) as a server speaks it, without extensions: bytes in, bytes out, no sockets and no answers. */
#ifndef BENCH_WEBSOCKET_H
#define BENCH_WEBSOCKET_H

#include "upstream.h"

/* What stands at the head of the input: nothing whole, a message, or the end of the connection. */
typedef enum { WS_WAIT, WS_MESSAGE, WS_END } ws_found;

/* Whether it is a client's key: 16 bytes in base64. */
int ws_is_key(const char *key, size_t n);

/* Writes the answer to an upgrade with this key. */
void ws_accept(buffer *out, const char *key, size_t n);

/* Writes one unmasked text frame. */
void ws_text(buffer *out, const char *data, size_t n);

/* Takes frames from the input until a text message is whole, which then stands in `message` until the next call.
 * Pings are answered and a close is returned in the output. While `busy`, data frames stay where they are.
 * What breaks the protocol closes with its code; WS_END says that the output is the last. */
ws_found ws_next(conn *c, int busy, const char **message, size_t *n);

#endif
