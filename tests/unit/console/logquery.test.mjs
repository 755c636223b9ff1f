// The log's filters: what the address says, what the API is asked, what of the feed belongs to the list.

import assert from "node:assert/strict";
import { test } from "node:test";

import { asked, filtersOf, fits, joined, localField, momentOf } from "../../../src/dragoman/console/logquery.js";

const NOW = Date.parse("2027-01-31T12:00:00Z");
const ROW = /** @type {any} */ ({
  request_id: "req_1",
  time: "2027-01-31T11:30:00.000Z",
  key: "laptop",
  client: "claude-cli/2.1",
  requested_model: "claude-Opus-4-8",
  upstream_model: "gpt-5.5",
  account: "work",
  outcome: "ok",
  status: 200,
  error_type: null,
  lane: "main",
  session_hash: "ab12cd34",
  conversation_hash: "ff00ff00",
  cache_verdict: "messages_changed(3)",
});

test("an address says filters, and what is no filter is left out", () => {
  assert.deepEqual(filtersOf({ key: "dev", range: "24h", search: "", other: "x" }), { key: "dev", range: "24h" });
  assert.deepEqual(filtersOf({ range: "3 days" }), {});
  assert.deepEqual(filtersOf({ range: "constructor" }), {});
});

test("a range becomes a time when it is asked for", () => {
  assert.deepEqual(asked({ range: "1h", key: "dev" }, NOW), { key: "dev", since: "2027-01-31T11:00:00.000Z" });
  assert.deepEqual(asked({ since: "2027-01-01T00:00:00Z" }, NOW), { since: "2027-01-01T00:00:00Z" });
});

test("a row of the feed is judged as the API would", () => {
  const yes = [
    {},
    { key: "laptop", account: "work", outcome: "ok", status: "200", lane: "main" },
    { client: "claude-" },
    { cache_verdict: "messages_changed" },
    { cache_verdict: "messages_changed(3)" },
    { range: "1h" },
    { since: "2027-01-31T11:30:00Z", until: "2027-01-31T11:31:00Z" },
    { search: "opus" },
    { search: " GPT " },
    { search: "req_1" },
    { search: "ab12cd" },
    { session_hash: "ab12cd34" },
  ];
  const no = [
    { key: "ci" },
    { status: "429" },
    { client: "cli" },
    { cache_verdict: "messages" },
    { cache_verdict: "messages_changed(4)" },
    { since: "2027-01-31T11:31:00Z" },
    { until: "2027-01-31T11:30:00Z" },
    { search: "req_" },
    { search: "ab12c" },
    { search: "haiku" },
    { error_type: "api_error" },
  ];
  for (const filters of yes) assert.equal(fits(/** @type {any} */ (filters), ROW, NOW), true, JSON.stringify(filters));
  for (const filters of no) assert.equal(fits(/** @type {any} */ (filters), ROW, NOW), false, JSON.stringify(filters));
});

test("two lists are one, newest first, each row once", () => {
  const row = (/** @type {string} */ id, /** @type {string} */ time) => ({ request_id: id, time });
  const found = joined([row("b", "2"), row("c", "3")], [row("a", "1"), row("b", "2"), row("b", "0")]);
  assert.deepEqual(
    found.map((one) => one.request_id + one.time),
    ["c3", "b2", "a1", "b0"],
  );
});

test("a time of the address goes into a field and comes back", () => {
  assert.equal(momentOf(localField("2027-01-31T11:30:00.000Z")), "2027-01-31T11:30:00.000Z");
  assert.equal(localField(undefined), "");
  assert.equal(localField("never"), "");
  assert.equal(momentOf(""), "");
  assert.equal(momentOf("x"), "");
});
