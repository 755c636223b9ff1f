// The table of words.

import assert from "node:assert/strict";
import { test } from "node:test";

import { maybe, t, tn } from "../../../src/dragoman/console/text.js";

test("values go into their places and nowhere else", () => {
  assert.equal(t("keys.go", { screen: "Log" }), "go to Log");
  assert.equal(t("keys.go"), "go to {screen}");
});

test("one and many have their own forms", () => {
  assert.equal(tn("table.rows", 1), "1 row");
  assert.equal(tn("table.rows", 0), "0 rows");
});

test("a name that the API made up has words to fall back to", () => {
  assert.equal(maybe("ill.db_read", "x"), "The database cannot be read.");
  assert.equal(maybe("ill.nothing", "otherwise"), "otherwise");
});
