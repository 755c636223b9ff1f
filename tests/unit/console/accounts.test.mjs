// What an operator writes into the fields of an account, and what the API gets of it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { changes, lines, rulesFrom, written } from "../../../src/dragoman/console/screens/accounts/written.js";
import { remedy, stateOf, stateWord } from "../../../src/dragoman/console/screens/accounts/state.js";

const ACCOUNT = /** @type {any} */ ({
  name: "a",
  status: "active",
  weight: 2,
  priority: 0,
  group: "work",
  concurrency: 4,
  models: ["x", "y"],
  live: { state: "ok" },
});

test("rules that nobody touched change nothing", () => {
  assert.deepEqual(changes(rulesFrom(written(ACCOUNT)), ACCOUNT), {});
  const bare = { ...ACCOUNT, group: "", concurrency: null, models: null };
  assert.deepEqual(changes(rulesFrom(written(bare)), bare), {});
  const none = { ...ACCOUNT, models: [] };
  assert.deepEqual(changes(rulesFrom(written(none)), none), {}, "an account that serves no model goes on so");
});

test("what is emptied is taken away, what is written is sent alone", () => {
  const texts = { ...written(ACCOUNT), concurrency: " ", models: "\n", weight: "0,5" };
  assert.deepEqual(changes(rulesFrom(texts), ACCOUNT), { concurrency: null, models: null, weight: 0.5 });
});

test("what is no number goes as it is, so that the API can say what is wrong", () => {
  const rules = rulesFrom({ ...written(), weight: "much", priority: "", concurrency: "2x" });
  assert.deepEqual([rules.weight, rules.priority, rules.concurrency], ["much", "", "2x"]);
});

test("models are one a line, each once", () => {
  assert.deepEqual(lines(" a \nb, c\n\na"), ["a", "b", "c"]);
});

test("what is kept of an account goes before what the pool has", () => {
  assert.equal(stateOf(ACCOUNT), "ok");
  assert.equal(stateOf({ ...ACCOUNT, status: "paused" }), "paused");
  assert.equal(stateOf({ ...ACCOUNT, live: { state: "needs_login" } }), "needs_login");
  assert.equal(stateOf({ ...ACCOUNT, live: null }), "unknown");
  assert.equal(stateWord("needs_login"), "needs a login");
  assert.equal(stateWord("of-a-newer-version"), "of-a-newer-version");
});

test("verbs of a shell become what a page has", () => {
  assert.equal(remedy("try again in a minute, then dragoman account login plus"), "try again in a minute, then log in again");
  assert.equal(remedy("dragoman account remove plus"), "remove it");
  assert.equal(remedy("wait until it is reset"), "wait until it is reset");
});
