// The lines for clients.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import {
  claudeSettings,
  claudeUnset,
  claudeVariables,
  codexConfig,
  curlLines,
  nameOf,
  PROGRAMS,
  shellLines,
} from "../../../src/dragoman/console/screens/settings/lines.js";

const offer = (name, model = name, window = 272000) => ({ name, model, window });
const WISH = { address: "http://gateway:8787", key: "sk-drg-x" };
const ALIASED = {
  data: [offer("gpt-5.5"), offer("gpt-small", "gpt-small", 128000)],
  tiers: { opus: offer("claude-opus-5-5", "gpt-5.5"), sonnet: offer("claude-sonnet-5-5", "gpt-small", 128000), haiku: offer("claude-haiku-5-5", "gpt-small") },
};
const PLAIN = { data: [offer("gpt-5.5")], tiers: {} };

test("aliases name the tiers, and the smaller window counts", () => {
  const told = claudeVariables({ ...WISH, model: null, offers: ALIASED });
  assert.equal(told.ANTHROPIC_BASE_URL, WISH.address);
  assert.equal(told.ANTHROPIC_DEFAULT_SONNET_MODEL, "claude-sonnet-5-5");
  assert.equal(told.CLAUDE_CODE_MAX_CONTEXT_TOKENS, "128000");
  assert.ok(!("ANTHROPIC_MODEL" in told));
  assert.ok(claudeUnset(told).includes("ANTHROPIC_MODEL"));
  assert.ok(claudeUnset(told).includes("CLAUDE_CODE_SUBAGENT_MODEL"));
});

test("a model that was chosen goes before, with its own window", () => {
  const told = claudeVariables({ ...WISH, model: "gpt-5.5", offers: ALIASED });
  assert.deepEqual([told.ANTHROPIC_MODEL, told.CLAUDE_CODE_AUTO_COMPACT_WINDOW], ["gpt-5.5", "272000"]);
  assert.ok(!claudeUnset(told).includes("ANTHROPIC_MODEL"));
});

test("without aliases every tier and every sub-agent gets the one model", () => {
  const told = claudeVariables({ ...WISH, model: null, offers: PLAIN });
  for (const name of ["ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL", "ANTHROPIC_DEFAULT_FABLE_MODEL", "CLAUDE_CODE_SUBAGENT_MODEL"]) {
    assert.equal(told[name], "gpt-5.5");
  }
});

test("where nothing is listed a name stands for any, and no window is claimed", () => {
  const told = claudeVariables({ ...WISH, model: null, offers: { data: [], tiers: {} } });
  assert.equal(told.ANTHROPIC_MODEL, nameOf({ data: [], tiers: {} }));
  assert.ok(!("CLAUDE_CODE_MAX_CONTEXT_TOKENS" in told));
});

test("a shell reads what was meant, whatever is in it", () => {
  const odd = `it's "$HOME" \`x\` \\ 'end'`;
  const script = `${shellLines("sh", { ODD: odd, EMPTY: "" }, ["GONE", "AWAY"])}\nprintf '%s|%s|%s' "$ODD" "\${EMPTY-unset}" "\${GONE-unset}"`;
  assert.equal(execFileSync("sh", ["-c", script], { env: { GONE: "1" } }).toString(), `${odd}||unset`);
});

test("each shell has its own spelling", () => {
  assert.equal(shellLines("fish", { A: "it's" }, ["B"]), "set -e B\nset -gx A 'it\\'s'");
  assert.equal(shellLines("powershell", { A: "it's" }, ["B", "C"]), "Remove-Item Env:B,Env:C -ErrorAction SilentlyContinue\n$env:A = 'it''s'");
});

test("the settings file is JSON with the variables", () => {
  const told = claudeVariables({ ...WISH, model: null, offers: ALIASED });
  assert.deepEqual(JSON.parse(claudeSettings(told)), { env: told });
});

test("addresses end as each client wants them", () => {
  const wish = { ...WISH, model: "gpt-5.5" };
  assert.match(codexConfig(wish), /^model = "gpt-5\.5"\n[^]*base_url = "http:\/\/gateway:8787\/v1"/);
  assert.match(PROGRAMS["openai-typescript"](wish), /^import OpenAI from "openai";\n\nconst client/);
  assert.match(PROGRAMS["openai-python"](wish), /base_url="http:\/\/gateway:8787\/v1"/);
  assert.match(PROGRAMS["anthropic-python"](wish), /base_url="http:\/\/gateway:8787", api_key="sk-drg-x"/);
  assert.match(PROGRAMS["anthropic-typescript"](wish), /baseURL: "http:\/\/gateway:8787", apiKey/);
  assert.match(curlLines(wish).responses, /'http:\/\/gateway:8787\/v1\/responses'/);
});
