// The overview's pure parts: time cut into steps, and what is not well in words.

import assert from "node:assert/strict";
import { test } from "node:test";

import { beginning, drawn, named, steps, ticked } from "../../../src/dragoman/console/screens/overview/steps.js";
import { troubles } from "../../../src/dragoman/console/screens/overview/troubles.js";

const HOUR = 3_600_000;
const NOW = Date.UTC(2027, 0, 31, 14, 3, 22);
const word = (/** @type {string} */ name) => name;
const sums = (/** @type {number} */ at, more = {}) => ({
  time: new Date(at).toISOString(),
  requests: 4,
  errors: 1,
  input_tokens: 1000,
  cached_tokens: 750,
  output_tokens: 50,
  cost_usd: 0.5,
  ...more,
});
const overview = (more = {}) => ({ ill: {}, upstream: "configured", ledger: { refused_rows: 0, dropped_texts: 0 }, ...more });
const account = (more = {}) => ({
  name: "work",
  status: "active",
  note: null,
  live: { state: "ok", why: null, until: null, windows: [] },
  ...more,
});
const told = (/** @type {any} */ of, /** @type {any[]} */ accounts = []) => troubles(of, accounts, NOW);

test("a range ends with the step that is not over", () => {
  assert.equal(beginning("24h", NOW), Date.UTC(2027, 0, 30, 15));
  assert.equal(beginning("7d", NOW), Date.UTC(2027, 0, 24, 15));
  assert.equal(beginning("30d", NOW), Date.UTC(2027, 0, 2));
});

test("steps without requests are there and unknown", () => {
  const start = beginning("24h", NOW);
  const all = steps("24h", start, [sums(start + 2 * HOUR), sums(start + 23 * HOUR)]);
  assert.equal(all.length, 24);
  assert.deepEqual(all.flatMap((step, at) => (step.sums ? [at] : [])), [2, 23]);
  const shares = drawn("cached", all, word).lines[0]?.values;
  assert.equal(shares?.[2], 0.75);
  assert.equal(shares?.[3], null);
});

test("every measure shows its parts", () => {
  const all = steps("24h", NOW, [sums(NOW)]);
  const first = (/** @type {any} */ measure) => drawn(measure, all, word).lines.map((line) => line.values[0]);
  assert.deepEqual(first("requests"), [3, 1]);
  assert.deepEqual(first("tokens"), [750, 250, 50]);
  assert.deepEqual(first("cost"), [0.5]);
  // A cost that nobody knows is no cost of nothing.
  assert.equal(drawn("cost", steps("24h", NOW, [sums(NOW, { cost_usd: null })]), word).lines[0]?.values[0], null);
  assert.equal(drawn("requests", all, word).text(0.5), "");
});

test("days are named by their date in UTC, hours by the clock", () => {
  const midnight = Date.UTC(2027, 0, 31);
  assert.equal(named("30d", midnight, NOW), "Jan 31");
  assert.equal(ticked("30d", midnight / 1000), "Jan 31");
  const noon = new Date(2027, 0, 31, 12).getTime();
  assert.equal(named("24h", noon, new Date(2027, 0, 31, 14).getTime()), "12:00");
  assert.equal(named("24h", noon, new Date(2027, 1, 2).getTime()), "Jan 31, 12:00");
  assert.equal(ticked("24h", noon / 1000), "12:00");
  assert.equal(ticked("24h", new Date(2027, 0, 31).getTime() / 1000), "Jan 31");
});

test("what is well is not told", () => {
  assert.deepEqual(told(overview(), [account(), account({ status: "paused" })]), []);
  assert.deepEqual(told(null), []);
});

test("each part that is ill says what to do, the unknown ones too", () => {
  const found = told(overview({ ill: { db_write: "disk full", liver: "pain" }, ledger: { refused_rows: 2, dropped_texts: 1 } }));
  assert.deepEqual(found.map((one) => one.id), ["part db_write", "part liver", "refused", "dropped"]);
  for (const one of found) assert.ok(one.what && one.act);
  assert.equal(found[0]?.why, "disk full");
  assert.match(found[1]?.what ?? "", /liver/);
  assert.match(found[2]?.what ?? "", /^2 rows/);
});

test("accounts say why they do not serve and until when", () => {
  const until = new Date(NOW + 2 * HOUR).toISOString();
  const window = { meter: "main", window: "5h", seconds: 18_000, used: 0.96, remaining: 0.04, resets_at: until };
  const cases = [
    [account({ status: "needs_login", note: "expired" }), "bad", /needs a new login/],
    [account({ status: "dead" }), "bad", /closed/],
    [account({ live: { state: "needs_login", why: null, until: null, windows: [] } }), "bad", /needs a new login/],
    [account({ live: { state: "cooling", why: "quota", until, windows: [] } }), "warn", /rests until .*in 2 h 00 m/],
    [account({ live: { state: "cooling", why: "new word", until: null, windows: [] } }), "warn", /rests\.$/],
    [account({ live: { state: "ok", why: null, until: null, windows: [window] } }), "warn", /4 % left of its window of 5h/],
  ];
  for (const [one, tone, what] of cases) {
    const [found] = told(overview(), [account({ name: "other" }), one]);
    assert.equal(found?.tone, tone);
    assert.match(found?.what ?? "", /** @type {RegExp} */ (what));
    assert.ok(found?.act);
  }
  assert.deepEqual(told(overview(), [account({ live: { ...account().live, windows: [{ ...window, seconds: 60 }] } })]), []);
});

test("nobody left to serve is the worst", () => {
  const lame = [account({ status: "paused" }), account({ name: "b", live: { state: "cooling", why: null, until: null, windows: [] } })];
  assert.equal(told(overview(), lame)[0]?.id, "nobody");
  assert.notEqual(told(overview({ upstream: "simulated" }), lame)[0]?.id, "nobody");
  assert.notEqual(told(overview(), [...lame, account({ name: "c" })])[0]?.id, "nobody");
});
