// The lines that lead a client here, word for word. Pure. For Claude Code they are those of `dragoman claude`
// (cli/environment.py and cli/tiers.py have the reasons; a test holds the two together).

/** @import {Offer, Offers} from "../../api-types.js" */
/** @typedef {{address: string, key: string, model: string | null, offers: Offers}} Wish `model` null: as the aliases say */
/** @typedef {"sh" | "fish" | "powershell"} Shell */

export const SHELLS = /** @type {Shell[]} */ (["sh", "fish", "powershell"]);
const TIERS = ["opus", "sonnet", "haiku"];
// What stands where no name is known: names that nobody lists are passed on.
export const SOME_MODEL = "gpt-5.5";

const FIXED = {
  CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY: "1",
  CLAUDE_CODE_ATTRIBUTION_HEADER: "0",
  ENABLE_TOOL_SEARCH: "true",
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
};
// What would take the client elsewhere.
export const CONFLICTS = [
  "ANTHROPIC_FEDERATION_RULE_ID",
  "ANTHROPIC_IDENTITY_TOKEN",
  "ANTHROPIC_IDENTITY_TOKEN_FILE",
  "ANTHROPIC_ORGANIZATION_ID",
  "ANTHROPIC_PROFILE",
  "ANTHROPIC_SERVICE_ACCOUNT_ID",
  "ANTHROPIC_SMALL_FAST_MODEL",
  "ANTHROPIC_UNIX_SOCKET",
  "ANTHROPIC_WORKSPACE_ID",
  "CLAUDE_CODE_API_BASE_URL",
  "CLAUDE_CODE_OAUTH_TOKEN",
  "CLAUDE_CODE_USE_ANTHROPIC_AWS",
  "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
  "CLAUDE_CODE_USE_BEDROCK",
  "CLAUDE_CODE_USE_FOUNDRY",
  "CLAUDE_CODE_USE_GATEWAY",
  "CLAUDE_CODE_USE_MANTLE",
  "CLAUDE_CODE_USE_VERTEX",
];

// Variables that not every plan sets.
const CHOICES = [
  "ANTHROPIC_DEFAULT_FABLE_MODEL",
  "ANTHROPIC_MODEL",
  "CLAUDE_CODE_AUTO_COMPACT_WINDOW",
  "CLAUDE_CODE_MAX_CONTEXT_TOKENS",
  "CLAUDE_CODE_SUBAGENT_MODEL",
];

/**
 * The variables of Claude Code, in their order.
 * @param {Wish} wish
 * @returns {Record<string, string>}
 */
export function claudeVariables({ address, key, model, offers }) {
  const aliased = Object.fromEntries(TIERS.flatMap((tier) => (offers.tiers[tier] ? [[tier, offers.tiers[tier].name]] : [])));
  const led = aliased.opus || aliased.sonnet;
  const main = model ?? (led ? null : nameOf(offers));
  const chosen = main ?? aliased.sonnet ?? aliased.opus;
  /** @type {Record<string, string>} */
  const names = Object.fromEntries(TIERS.map((tier) => [tier, aliased[tier] ?? chosen]));
  const plain = Object.keys(aliased).length === 0;
  const windows = (main ? [main] : [names.opus, names.sonnet]).map((name) => windowOf(offers, name ?? ""));
  const size = windows.every((one) => one !== null) ? String(Math.min(.../** @type {number[]} */ (windows))) : null;
  /** @type {[string, string | null | undefined][]} */
  const all = [
    ["ANTHROPIC_BASE_URL", address],
    ["ANTHROPIC_AUTH_TOKEN", key],
    ["ANTHROPIC_API_KEY", ""],
    ["ANTHROPIC_MODEL", main],
    ["ANTHROPIC_DEFAULT_OPUS_MODEL", names.opus],
    ["ANTHROPIC_DEFAULT_SONNET_MODEL", names.sonnet],
    ["ANTHROPIC_DEFAULT_HAIKU_MODEL", names.haiku],
    // A sub-agent that asks for a Claude name would be refused upstream.
    ["ANTHROPIC_DEFAULT_FABLE_MODEL", plain ? chosen : null],
    ["CLAUDE_CODE_SUBAGENT_MODEL", plain ? chosen : null],
    ["CLAUDE_CODE_MAX_CONTEXT_TOKENS", size],
    ["CLAUDE_CODE_AUTO_COMPACT_WINDOW", size],
    ...Object.entries(FIXED),
  ];
  return Object.fromEntries(/** @type {[string, string][]} */ (all.filter(([, value]) => value !== null && value !== undefined)));
}

/**
 * What must be taken away before: other roads, and choices of models that this plan does not make.
 * @param {Record<string, string>} variables
 */
export function claudeUnset(variables) {
  return [...CONFLICTS, ...CHOICES.filter((name) => !(name in variables))];
}

/**
 * A name that a client could ask for.
 * @param {Offers} offers
 */
export function nameOf(offers) {
  return offers.tiers.sonnet?.name ?? offers.tiers.opus?.name ?? offers.data[0]?.name ?? SOME_MODEL;
}

/**
 * @param {Offers} offers
 * @param {string} name
 */
function windowOf(offers, name) {
  const known = [...offers.data, ...Object.values(offers.tiers)].find((/** @type {Offer} */ one) => one.name === name);
  return known?.window ?? null;
}

/** @type {Record<Shell, (value: string) => string>} */
const QUOTED = {
  sh: (value) => `'${value.replaceAll("'", "'\\''")}'`,
  fish: (value) => `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`,
  powershell: (value) => `'${value.replace(/['\u2018\u2019\u201a\u201b]/g, "$&$&")}'`,
};

/**
 * Lines that set variables, and those that take others away.
 * @param {Shell} shell
 * @param {Record<string, string>} variables
 * @param {string[]} [unset]
 */
export function shellLines(shell, variables, unset = []) {
  const quoted = QUOTED[shell];
  const gone = {
    sh: (/** @type {string[]} */ names) => [`unset ${names.join(" ")}`],
    fish: (/** @type {string[]} */ names) => [`set -e ${names.join(" ")}`],
    powershell: (/** @type {string[]} */ names) => [`Remove-Item ${names.map((name) => `Env:${name}`).join(",")} -ErrorAction SilentlyContinue`],
  };
  const set = {
    sh: (/** @type {string} */ name, /** @type {string} */ value) => `export ${name}=${quoted(value)}`,
    fish: (/** @type {string} */ name, /** @type {string} */ value) => `set -gx ${name} ${quoted(value)}`,
    powershell: (/** @type {string} */ name, /** @type {string} */ value) => `$env:${name} = ${quoted(value)}`,
  };
  return [...(unset.length ? gone[shell](unset) : []), ...Object.entries(variables).map(([name, value]) => set[shell](name, value))].join("\n");
}

/** @param {Record<string, string>} variables */
export function claudeSettings(variables) {
  return JSON.stringify({ env: variables }, null, 2);
}

/** @param {{address: string, model: string}} wish */
export function codexConfig({ address, model }) {
  return [
    `model = ${JSON.stringify(model)}`,
    'model_provider = "dragoman"',
    "",
    "[model_providers.dragoman]",
    'name = "dragoman"',
    `base_url = ${JSON.stringify(`${address}/v1`)}`,
    'env_key = "DRAGOMAN_KEY"',
    'wire_api = "responses"',
  ].join("\n");
}

/**
 * @param {string} name
 * @param {string} library
 */
function imported(name, library) {
  return `import ${name} from ${JSON.stringify(library)};`;
}

/**
 * Programs that ask once, by client.
 * @type {Record<string, (wish: {address: string, key: string, model: string}) => string>}
 */
export const PROGRAMS = {
  "openai-python": ({ address, key, model }) => `from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(`${address}/v1`)}, api_key=${JSON.stringify(key)})
answer = client.chat.completions.create(
    model=${JSON.stringify(model)},
    messages=[{"role": "user", "content": "Say hello"}],
)
print(answer.choices[0].message.content)`,
  "openai-typescript": ({ address, key, model }) => `${imported("OpenAI", "openai")}

const client = new OpenAI({ baseURL: ${JSON.stringify(`${address}/v1`)}, apiKey: ${JSON.stringify(key)} });
const answer = await client.chat.completions.create({
  model: ${JSON.stringify(model)},
  messages: [{ role: "user", content: "Say hello" }],
});
console.log(answer.choices[0]?.message.content);`,
  "anthropic-python": ({ address, key, model }) => `from anthropic import Anthropic

client = Anthropic(base_url=${JSON.stringify(address)}, api_key=${JSON.stringify(key)})
answer = client.messages.create(
    model=${JSON.stringify(model)},
    max_tokens=1024,
    messages=[{"role": "user", "content": "Say hello"}],
)
print("".join(block.text for block in answer.content if block.type == "text"))`,
  "anthropic-typescript": ({ address, key, model }) => `${imported("Anthropic", "@anthropic-ai/sdk")}

const client = new Anthropic({ baseURL: ${JSON.stringify(address)}, apiKey: ${JSON.stringify(key)} });
const answer = await client.messages.create({
  model: ${JSON.stringify(model)},
  max_tokens: 1024,
  messages: [{ role: "user", content: "Say hello" }],
});
for (const block of answer.content) if (block.type === "text") console.log(block.text);`,
};

/**
 * Requests for a shell, one for each door.
 * @param {{address: string, key: string, model: string}} wish
 */
export function curlLines({ address, key, model }) {
  const { sh } = QUOTED;
  const hello = [{ role: "user", content: "Say hello" }];
  const said = {
    messages: JSON.stringify({ model, max_tokens: 1024, messages: hello }),
    chat: JSON.stringify({ model, messages: hello }),
    responses: JSON.stringify({ model, input: "Say hello" }),
  };
  const bearer = `-H ${sh(`authorization: Bearer ${key}`)}`;
  return {
    messages: `curl -sS ${sh(`${address}/v1/messages`)} \\\n  -H ${sh(`x-api-key: ${key}`)} -H 'anthropic-version: 2023-06-01' \\\n  -H 'content-type: application/json' \\\n  -d ${sh(said.messages)}`,
    chat: `curl -sS ${sh(`${address}/v1/chat/completions`)} \\\n  ${bearer} \\\n  -H 'content-type: application/json' \\\n  -d ${sh(said.chat)}`,
    responses: `curl -sS ${sh(`${address}/v1/responses`)} \\\n  ${bearer} \\\n  -H 'content-type: application/json' \\\n  -d ${sh(said.responses)}`,
    models: `curl -sS ${sh(`${address}/v1/models`)} ${bearer}`,
  };
}
