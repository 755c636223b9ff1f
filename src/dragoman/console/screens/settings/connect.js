// The exact lines that lead a client here, with this gateway's address, a name that it serves and a key.

import { get } from "../../api.js";
import { html, useState } from "../../html.js";
import { CopyText } from "../../parts/copy.js";
import { Choice, Field } from "../../parts/field.js";
import { Panel } from "../../parts/panel.js";
import { prose } from "../../parts/prose.js";
import { Loaded } from "../../parts/states.js";
import { Tabs } from "../../parts/tabs.js";
import { useResource } from "../../resource.js";
import { go, place, to } from "../../router.js";
import { t } from "../../text.js";
import { made } from "../keys/made.js";
import { claudeSettings, claudeUnset, claudeVariables, codexConfig, curlLines, nameOf, PROGRAMS, SHELLS, shellLines } from "./lines.js";

/** @import {Offer, Offers} from "../../api-types.js" */
/** @import {Shell} from "./lines.js" */
/** @typedef {{address: string, key: string, model: string | null, offers: Offers, shell: Shell}} Given */

const CLIENTS = /** @type {const} */ (["claude-code", "codex", "openai-python", "openai-typescript", "anthropic-python", "anthropic-typescript", "curl"]);

export function Connect() {
  const offers = useResource((signal) => /** @type {Promise<Offers>} */ (get("/offers", {}, { signal })), []);
  return html`<${Loaded} of=${offers}>${(/** @type {Offers} */ found) => html`<${Page} offers=${found} />`}<//>`;
}

/** @param {{offers: Offers}} props */
function Page({ offers }) {
  const { rest, query } = place.value;
  const client = CLIENTS.find((one) => one === rest[1]) ?? "claude-code";
  const [address, setAddress] = useState(location.origin);
  const shell = SHELLS.find((one) => one === query.shell) ?? "sh";
  const names = new Map([...Object.values(offers.tiers), ...offers.data].map((/** @type {Offer} */ one) => [one.name, one]));
  const named = names.has(query.model ?? "") ? (query.model ?? null) : null;
  const key = made.value;
  /** @param {Record<string, string>} change */
  const choose = (change) => go(to("settings", ["connect", client], { shell: query.shell, model: query.model, ...change }), { replace: true });
  const led = client === "claude-code" && (offers.tiers.opus || offers.tiers.sonnet);
  const first = nameOf(offers);
  const models = [
    { value: "", text: led ? t("settings.connect.aliases") : spelled(first, names.get(first)) },
    ...[...names.values()].filter((one) => led || one.name !== first).map((one) => ({ value: one.name, text: spelled(one.name, one) })),
  ];
  /** @type {Given} */
  const given = { address: address.trim().replace(/\/+$/, ""), key: key?.text ?? t("settings.connect.placeholder"), model: named, offers, shell };
  return html`
    <${Panel} title=${t("settings.connect")}>
      <div class="triple">
        <${Field} name="address" label=${t("settings.connect.address")} hint=${t("settings.connect.address.hint")} value=${address} onInput=${setAddress} inputmode="url" mono />
        <${Choice} name="model" label=${t("settings.connect.model")} value=${led || named !== first ? (named ?? "") : ""} onInput=${(/** @type {string} */ model) => choose({ model })} options=${models} />
        ${(client === "claude-code" || client === "codex") &&
        html`<${Choice} name="shell" label=${t("settings.connect.shell")} value=${shell} onInput=${(/** @type {string} */ value) => choose({ shell: value })} options=${SHELLS.map((one) => ({ value: one, text: t(`settings.shell.${one}`) }))} />`}
      </div>
      <${KeyNote} />
    <//>
    <${Tabs}
      label=${t("settings.connect.clients")}
      open=${client}
      tabs=${CLIENTS.map((one) => ({ id: one, name: t(`settings.client.${one}`), href: to("settings", ["connect", one], { shell: query.shell, model: query.model }) }))}
    />
    <${Panel} title=${t(`settings.client.${client}`)}>
      ${client === "claude-code" ? html`<${Claude} of=${given} />` : client === "codex" ? html`<${Codex} of=${given} />` : client === "curl" ? html`<${Curl} of=${given} />` : html`<${Program} client=${client} of=${given} />`}
    <//>
  `;
}

/**
 * @param {string} name
 * @param {Offer | undefined} offer
 */
function spelled(name, offer) {
  return offer && offer.model !== name ? `${name} → ${offer.model}` : name;
}

function KeyNote() {
  const key = made.value;
  if (!key) return html`<p class="keynote">${prose(t("settings.connect.nokey"))} <a href=${to("keys")}>${t("settings.connect.keys")}</a></p>`;
  return html`
    <p class="keynote notebox">
      ${t("settings.connect.key", { name: key.name })}
      <button type="button" class="button small" onClick=${() => (made.value = null)}>${t("settings.connect.forget")}</button>
    </p>
  `;
}

/** @param {{of: Given}} props */
function Claude({ of }) {
  const { shell } = of;
  const variables = claudeVariables(of);
  const loopback = /^https?:\/\/(127\.|localhost|\[::1\])/.test(of.address);
  const model = of.model ? ` --model ${of.model}` : "";
  return html`
    <${Block} title=${t("settings.claude.env")} hint=${t("settings.claude.env.hint")} text=${shellLines(shell, variables, claudeUnset(variables))} />
    <${Block} title=${t("settings.claude.file")} hint=${t("settings.claude.file.hint")} text=${claudeSettings(variables)} />
    <${Block}
      title=${t("settings.claude.launcher")}
      hint=${t("settings.claude.launcher.hint")}
      text=${loopback ? `dragoman claude${model}` : `${shellLines(shell, { DRAGOMAN_KEY: of.key })}\ndragoman claude --url ${of.address} --key-env DRAGOMAN_KEY${model}`}
    />
  `;
}

/** @param {{of: Given}} props */
function Codex({ of }) {
  const model = of.model ?? nameOf(of.offers);
  return html`
    <${Block} title=${t("settings.codex.file")} hint=${t("settings.codex.file.hint")} text=${codexConfig({ address: of.address, model })} />
    <${Block} title=${t("settings.codex.key")} text=${shellLines(of.shell, { DRAGOMAN_KEY: of.key })} />
    <${Block} title=${t("settings.try")} text=${'codex exec "What is in this folder?"'} />
  `;
}

/** @param {{of: Given}} props */
function Curl({ of }) {
  const lines = curlLines({ ...of, model: of.model ?? nameOf(of.offers) });
  return html`
    ${(/** @type {const} */ (["messages", "chat", "responses", "models"])).map(
      (door) => html`<${Block} key=${door} title=${t(`settings.curl.${door}`)} text=${lines[door]} />`,
    )}
  `;
}

/** @param {{client: Exclude<typeof CLIENTS[number], "claude-code" | "codex" | "curl">, of: Given}} props */
function Program({ client, of }) {
  const install = { "openai-python": "pip install openai", "openai-typescript": "npm install openai", "anthropic-python": "pip install anthropic", "anthropic-typescript": "npm install @anthropic-ai/sdk" }[client];
  const text = PROGRAMS[client]?.({ ...of, model: of.model ?? nameOf(of.offers) }) ?? "";
  return html`
    <${Block} title=${t("settings.program.install")} text=${install} />
    <${Block} title=${t("settings.program")} hint=${t(client.startsWith("openai") ? "settings.program.openai" : "settings.program.anthropic")} text=${text} />
  `;
}

/** @param {{title: string, text: string, hint?: string}} props */
function Block({ title, text, hint }) {
  return html`
    <section class="block">
      <h3>${title}</h3>
      ${hint && html`<p class="hint">${prose(hint)}</p>`}
      <${CopyText} text=${text} label=${title} />
    </section>
  `;
}
