// A key's form and what of it is sent.

import assert from "node:assert/strict";
import { test } from "node:test";

import { bodyOf, changeOf, draftOf, figure, filled, listed, local } from "../../../src/dragoman/console/screens/keys/draft.js";

const KEY = {
  id: "k1",
  name: "laptop",
  origin: "store",
  state: "active",
  hint: "…abcd",
  tags: ["dev"],
  models: ["claude-*"],
  default_effort: null,
  enforced_effort: null,
  max_effort: "high",
  concurrency: 4,
  account_groups: null,
  expires_at: "2027-01-31T00:00:30.500Z",
  limits: [
    { measure: "cost_usd", per: "month", max: 50, models: "claude-opus-*", used: 1, held: 0, remaining: 49, resets_at: null },
  ],
};

test("numbers are read as people write them, and what is none stays for the API to name", () => {
  assert.deepEqual(["2M", "2,000,000", " 1_000 ", "0.5k", "50", ".5", "0.3m", "1.5G"].map(figure), [2e6, 2e6, 1000, 500, 50, 0.5, 300000, 1.5e9]);
  assert.deepEqual(["", "  "].map(figure), [null, null]);
  assert.deepEqual(["many", "-1", "1e3", "5 apples", "Infinity"].map(figure), ["many", "-1", "1e3", "5 apples", "Infinity"]);
});

test("lists are parted by commas and lines, each name once", () => {
  assert.deepEqual(listed(" a, b\nc,,\n a "), ["a", "b", "c"]);
  assert.deepEqual(listed(" \n,"), []);
});

test("an empty form is a key without rules", () => {
  assert.deepEqual(bodyOf({ ...draftOf(), name: " x " }), {
    name: "x",
    tags: [],
    models: null,
    account_groups: null,
    concurrency: null,
    expires_at: null,
    default_effort: null,
    max_effort: null,
    enforced_effort: null,
    limits: [],
    anyway: false,
  });
});

test("a limit without a number is sent as such, so that its path is named", () => {
  const draft = { ...draftOf(), limits: [{ measure: "tokens", per: "day", max: "", models: " " }] };
  assert.deepEqual(bodyOf(draft).limits, [{ measure: "tokens", per: "day", max: "", models: null }]);
});

test("a form that was not touched changes nothing", () => {
  assert.deepEqual(changeOf(draftOf(KEY), KEY), {});
});

test("only what is otherwise is sent", () => {
  const draft = { ...draftOf(KEY), tags: "", models: "", concurrency: "8", expires: "" };
  assert.deepEqual(changeOf(draft, KEY), { tags: [], models: null, concurrency: 8, expires_at: null });
  assert.deepEqual(changeOf({ ...draftOf(KEY), anyway: true, name: "other" }, KEY), { anyway: true });
});

test("a moment goes into its field and back to the minute", () => {
  const at = new Date("2027-01-31T12:34:56Z");
  assert.equal(new Date(local(at)).toISOString(), "2027-01-31T12:34:00.000Z");
});

test("what is held counts as used, and no more than all is", () => {
  assert.equal(filled({ ...KEY.limits[0], used: 10, held: 15 }), 0.5);
  assert.equal(filled({ ...KEY.limits[0], used: 90, held: 0 }), 1);
  assert.equal(filled({ ...KEY.limits[0], max: 0 }), 1);
});
