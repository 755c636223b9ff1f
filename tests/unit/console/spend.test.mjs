// What a key has used, from sums of days.

import assert from "node:assert/strict";
import { test } from "node:test";

import { since, spentOf, sum } from "../../../src/dragoman/console/screens/keys/spend.js";

const NOW = Date.parse("2026-11-28T10:00:00Z");
/** A day's sums. */
const day = (time, more = {}) => ({ time: `${time}T00:00:00Z`, requests: 1, input_tokens: 100, output_tokens: 10, unpriced: 0, estimated: 0, cost_usd: 0.5, ...more });

test("the month so far and the last seven days are asked for", () => {
  assert.equal(since(NOW), "2026-11-01T00:00:00.000Z");
  assert.equal(since(Date.parse("2026-12-02T23:59:59Z")), "2026-11-26T00:00:00.000Z");
});

test("days are those of UTC, and those without requests are there", () => {
  const spent = spentOf([day("2026-10-31"), day("2026-11-01"), day("2026-11-22"), day("2026-11-28")], NOW);
  assert.equal(spent.today.requests, 1);
  assert.equal(spent.month.requests, 3);
  assert.equal(spent.month.cost, 1.5);
  assert.deepEqual(spent.days.map((one) => one.spend.requests), [1, 0, 0, 0, 0, 0, 1]);
  assert.equal(spent.days[6].spend.tokens, 110);
});

test("a cost that nobody knows is unknown, and no requests cost nothing", () => {
  assert.equal(sum([day("2026-11-28", { cost_usd: null, unpriced: 1 })]).cost, null);
  assert.equal(sum([]).cost, 0);
  const mixed = sum([day("2026-11-27"), day("2026-11-28", { cost_usd: null, unpriced: 2, estimated: 1 })]);
  assert.deepEqual([mixed.cost, mixed.unpriced, mixed.estimated], [0.5, 2, 1]);
});
