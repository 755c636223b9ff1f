// Names of models as they are written and read.

import assert from "node:assert/strict";
import { test } from "node:test";

import { example, inOrder, isGlob, parts, target } from "../../../src/dragoman/console/screens/models/alias.js";

test("a target is a model, at an effort perhaps", () => {
  assert.deepEqual(parts("gpt-5.5"), ["gpt-5.5", ""]);
  assert.deepEqual(parts("gpt-5.5@high"), ["gpt-5.5", "high"]);
  assert.deepEqual(parts("me@home/qwen"), ["me@home/qwen", ""], "an @ that names no effort is the model's");
  for (const text of ["gpt-5.5", "gpt-5.5@low", "me@home/qwen"]) assert.equal(target(...parts(text)), text);
});

test("exact names go before every glob", () => {
  const rows = ["claude-*", "fast", "gpt-[45]", "a/b"].map((name) => ({ name }));
  assert.deepEqual(inOrder(rows).map((one) => one.name), ["fast", "a/b", "claude-*", "gpt-[45]"]);
  assert.ok(isGlob("a?") && !isGlob("a-b"));
});

test("a glob is tried by a name that it fits", () => {
  assert.equal(example("claude-*"), "claude-x");
  assert.equal(example("gpt-[45]?"), "gpt-4x");
  assert.equal(example("fast"), "fast");
});
