/* What the upstream says: the same text in three APIs, plain and as SSE. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "upstream.h"
#include "websocket.h"

void reserve(buffer *b, size_t more) {
  if (b->len + more <= b->cap) return;
  if (!b->cap) b->cap = 4096;
  while (b->cap < b->len + more) b->cap *= 2;
  b->data = realloc(b->data, b->cap);
  if (!b->data) abort();
}

void put(buffer *b, const char *data, size_t n) {
  reserve(b, n);
  memcpy(b->data + b->len, data, n);
  b->len += n;
}

void putf(buffer *b, const char *format, ...) {
  va_list list, again;
  va_start(list, format);
  va_copy(again, list);
  reserve(b, 512);
  int n = vsnprintf(b->data + b->len, b->cap - b->len, format, list);
  if (b->len + (size_t)n >= b->cap) {
    reserve(b, (size_t)n + 1);
    vsnprintf(b->data + b->len, b->cap - b->len, format, again);
  }
  b->len += (size_t)n;
  va_end(list);
  va_end(again);
}

buffer frame;

void send_chunk(conn *c) {
  if (c->websocket) {
    static const char before[] = "\ndata: ";
    const char *json = (char *)memmem(frame.data, frame.len, before, sizeof before - 1) + sizeof before - 1;
    ws_text(&c->out, json, (size_t)(frame.data + frame.len - 2 - json));
    frame.len = 0;
    return;
  }
  putf(&c->out, "%zx\r\n", frame.len);
  put(&c->out, frame.data, frame.len);
  put(&c->out, "\r\n", 2);
  frame.len = 0;
}

enum { INPUT_TOKENS = 15603, CACHED_TOKENS = 15104 };

/* Ids are those of the request: gateways keep what they know of a response under its id. */
#define ITEM "msg_bench%036llu"
#define AT "\"item_id\":\"" ITEM "\",\"output_index\":0,\"content_index\":0"

static void item(buffer *b, conn *c, const char *status, const char *text) {
  putf(b, "{\"id\":\"" ITEM "\",\"type\":\"message\",\"status\":\"%s\",\"role\":\"assistant\",\"content\":[", c->number, status);
  if (text) putf(b, "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"%s\"}", text);
  putf(b, "]}");
}

static void response(buffer *b, conn *c, int done) {
  putf(b,
       "{\"id\":\"resp_bench%034llu\",\"object\":\"response\",\"created_at\":1700000000,"
       "\"status\":\"%s\",\"background\":false,\"error\":null,\"incomplete_details\":null,\"instructions\":null,"
       "\"max_output_tokens\":null,\"max_tool_calls\":null,\"model\":\"gpt-5.1\",\"output\":[",
       c->number, done ? "completed" : "in_progress");
  if (done) item(b, c, "completed", c->text.data);
  putf(b,
       "],\"parallel_tool_calls\":true,\"previous_response_id\":null,\"prompt_cache_key\":null,"
       "\"reasoning\":{\"effort\":\"medium\",\"summary\":null},\"safety_identifier\":null,"
       "\"service_tier\":\"default\",\"store\":false,\"temperature\":1.0,"
       "\"text\":{\"format\":{\"type\":\"text\"},\"verbosity\":\"medium\"},\"tool_choice\":\"auto\",\"tools\":[],"
       "\"top_logprobs\":0,\"top_p\":1.0,\"truncation\":\"disabled\",\"usage\":");
  if (done)
    putf(b,
         "{\"input_tokens\":%d,\"input_tokens_details\":{\"cached_tokens\":%d},\"output_tokens\":%ld,"
         "\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":%ld}",
         INPUT_TOKENS, CACHED_TOKENS, c->deltas, INPUT_TOKENS + c->deltas);
  else
    putf(b, "null");
  putf(b, ",\"user\":null,\"metadata\":{}}");
}

static void event(const char *name, long number) {
  putf(&frame, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%ld,", name, name, number);
}

static void responses_begin(conn *c) {
  static const char *const names[] = {"response.created", "response.in_progress"};
  for (int i = 0; i < 2; i++) {
    event(names[i], i);
    putf(&frame, "\"response\":");
    response(&frame, c, 0);
    putf(&frame, "}\n\n");
    send_chunk(c);
  }
  event("response.output_item.added", 2);
  putf(&frame, "\"output_index\":0,\"item\":");
  item(&frame, c, "in_progress", NULL);
  putf(&frame, "}\n\n");
  send_chunk(c);
  event("response.content_part.added", 3);
  putf(&frame, AT ",\"part\":{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"\"}}\n\n", c->number);
  send_chunk(c);
}

static void responses_delta(conn *c, const char *text) {
  event("response.output_text.delta", 4 + c->sent);
  putf(&frame, AT ",\"delta\":\"%s\",\"logprobs\":[],\"obfuscation\":\"aB3dE6gH9j\"}\n\n", c->number, text);
}

static void responses_end(conn *c) {
  const char *text = c->text.data;
  long number = 4 + c->deltas;
  event("response.output_text.done", number);
  putf(&frame, AT ",\"text\":\"%s\",\"logprobs\":[]}\n\n", c->number, text);
  send_chunk(c);
  event("response.content_part.done", number + 1);
  putf(&frame, AT ",\"part\":{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"%s\"}}\n\n", c->number, text);
  send_chunk(c);
  event("response.output_item.done", number + 2);
  putf(&frame, "\"output_index\":0,\"item\":");
  item(&frame, c, "completed", text);
  putf(&frame, "}\n\n");
  send_chunk(c);
  event("response.completed", number + 3);
  putf(&frame, "\"response\":");
  response(&frame, c, 1);
  putf(&frame, "}\n\n");
  send_chunk(c);
}

static void responses_whole(conn *c) { response(&frame, c, 1); }

#define CHUNK \
  "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000," \
  "\"model\":\"gpt-5.1\",\"service_tier\":\"default\",\"system_fingerprint\":null,"
#define CHAT_USAGE \
  "\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%ld,\"total_tokens\":%ld," \
  "\"prompt_tokens_details\":{\"cached_tokens\":%d,\"audio_tokens\":0}," \
  "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}}}"

static void chat_choice(const char *delta, const char *reason) {
  putf(&frame, CHUNK "\"choices\":[{\"index\":0,\"delta\":{%s},\"logprobs\":null,\"finish_reason\":%s}],\"usage\":null}\n\n",
       delta, reason);
}

static void chat_usage(conn *c) {
  putf(&frame, CHAT_USAGE, INPUT_TOKENS, c->deltas, INPUT_TOKENS + c->deltas, CACHED_TOKENS);
}

static void chat_begin(conn *c) {
  chat_choice("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null", "null");
  send_chunk(c);
}

static void chat_delta(conn *c, const char *text) {
  (void)c;
  putf(&frame, CHUNK "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"},\"logprobs\":null,\"finish_reason\":null}],"
       "\"usage\":null}\n\n", text);
}

static void chat_end(conn *c) {
  chat_choice("", "\"stop\"");
  send_chunk(c);
  putf(&frame, CHUNK "\"choices\":[],");
  chat_usage(c);
  putf(&frame, "\n\n");
  send_chunk(c);
  putf(&frame, "data: [DONE]\n\n");
  send_chunk(c);
}

static void chat_whole(conn *c) {
  putf(&frame, "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"gpt-5.1\","
       "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\",\"refusal\":null,"
       "\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],", c->text.data);
  chat_usage(c);
}

static void message(buffer *b, conn *c, int done) {
  putf(b, "{\"id\":\"msg_bench\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5\",\"content\":[");
  if (done) putf(b, "{\"type\":\"text\",\"text\":\"%s\"}", c->text.data);
  putf(b, "],\"stop_reason\":%s,\"stop_sequence\":null,\"usage\":{\"input_tokens\":%d,\"cache_read_input_tokens\":%d,"
       "\"cache_creation_input_tokens\":0,\"output_tokens\":%ld}}",
       done ? "\"end_turn\"" : "null", INPUT_TOKENS - CACHED_TOKENS, CACHED_TOKENS, done ? c->deltas : 1);
}

static void messages_begin(conn *c) {
  putf(&frame, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
  message(&frame, c, 0);
  putf(&frame, "}\n\n");
  send_chunk(c);
  putf(&frame, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
       "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
  send_chunk(c);
}

static void messages_delta(conn *c, const char *text) {
  (void)c;
  putf(&frame, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
       "\"delta\":{\"type\":\"text_delta\",\"text\":\"%s\"}}\n\n", text);
}

static void messages_end(conn *c) {
  putf(&frame, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n");
  send_chunk(c);
  putf(&frame, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\","
       "\"stop_sequence\":null},\"usage\":{\"input_tokens\":%d,\"cache_read_input_tokens\":%d,\"output_tokens\":%ld}}\n\n",
       INPUT_TOKENS - CACHED_TOKENS, CACHED_TOKENS, c->deltas);
  send_chunk(c);
  putf(&frame, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
  send_chunk(c);
}

static void messages_whole(conn *c) { message(&frame, c, 1); }

const dialect dialects[] = {
    {"/responses", {"\"model\":", "\"input\":", "BENCH:"}, {"\"tool_use_id\":", "\"input_schema\":"},
     responses_begin, responses_delta, responses_end, responses_whole},
    {"/chat/completions", {"\"model\":", "\"messages\":", "BENCH:"}, {"\"tool_use_id\":", "\"input_schema\":"},
     chat_begin, chat_delta, chat_end, chat_whole},
    {"/messages", {"\"model\":", "\"messages\":", "BENCH:"}, {"\"call_id\":", "\"input_text\""},
     messages_begin, messages_delta, messages_end, messages_whole},
};

const int n_dialects = sizeof dialects / sizeof *dialects;
