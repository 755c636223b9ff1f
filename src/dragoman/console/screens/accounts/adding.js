// Ways to a new account, or to a new login for one: the choice, the forms, and what came of it.

import { ApiError, segment, send } from "../../api.js";
import { useForm } from "../../form.js";
import { html, useEffect, useState } from "../../html.js";
import { Area } from "../../parts/area.js";
import { Dialog } from "../../parts/dialog.js";
import { Field, Problem, problemOf } from "../../parts/field.js";
import { prose } from "../../parts/prose.js";
import { t } from "../../text.js";
import { elsewhere, ModelsField, RuleFields } from "./rules.js";
import { SignIn } from "./signin.js";
import { remedy } from "./state.js";
import { rulesFrom, written } from "./written.js";

/** @import {AccountRecord, Tried} from "../../api-types.js" */
/** @import {TextName} from "../../text.js" */

const WAYS = ["browser", "device", "import", "key", "server"];
const LOGINS = ["browser", "device", "import"];

/**
 * A dialog. `name` is the account that is to be logged in again, `known` are those that are there.
 * @param {{
 *   way: string, name?: string, known: AccountRecord[], onWay: (way: string) => void, onClose: () => void,
 * }} props
 */
export function Adding({ way, name, known, onWay, onClose }) {
  const [made, setMade] = useState(/** @type {AccountRecord | null} */ (null));
  // Those that were there before anything was added.
  const [before] = useState(() => new Set(known.map((one) => one.id)));
  const title = name ? t("accounts.relogin.title", { name }) : t("accounts.add.title");
  const ways = name ? LOGINS : WAYS;
  const inside = made
    ? html`<${Made} of=${made} again=${!name && before.has(made.id)} onClose=${onClose} />`
    : ways.includes(way)
      ? html`
          <p class="way"><strong>${t(/** @type {TextName} */ (`accounts.add.${way}`))}</strong>
            <button type="button" class="button plain small" onClick=${() => onWay("choose")}>${t("accounts.add.back")}</button></p>
          ${way === "browser" || way === "device"
            ? html`<${SignIn} key=${way} way=${way} name=${name} onDone=${setMade} />`
            : way === "import"
              ? html`<${Import} name=${name} onDone=${setMade} />`
              : html`<${WithKey} key=${way} kind=${way === "key" ? "openai" : "responses"} onDone=${setMade} />`}
        `
      : html`<${Ways} ways=${ways} onWay=${onWay} />`;
  return html`<${Dialog} title=${title} onClose=${onClose}>${inside}<//>`;
}

/** @param {{ways: string[], onWay: (way: string) => void}} props */
function Ways({ ways, onWay }) {
  return html`
    <ul class="ways">
      ${ways.map(
        (way) => html`
          <li key=${way}>
            <button type="button" onClick=${() => onWay(way)}>
              <strong>${t(/** @type {TextName} */ (`accounts.add.${way}`))}</strong>
              <span>${prose(t(/** @type {TextName} */ (`accounts.add.${way}.what`)))}</span>
            </button>
          </li>
        `,
      )}
    </ul>
  `;
}

/**
 * What was added, and whether it works: it is asked something cheap at once.
 * @param {{of: AccountRecord, again: boolean, onClose: () => void}} props
 */
function Made({ of, again, onClose }) {
  const [tried, setTried] = useState(/** @type {Tried | null} */ (null));
  const [error, setError] = useState(/** @type {Error | null} */ (null));
  useEffect(() => {
    let gone = false;
    send("POST", `/accounts/${segment(of.name)}/test`).then(
      (/** @type {any} */ told) => gone || setTried(told),
      (/** @type {Error} */ reason) => gone || setError(reason),
    );
    return () => {
      gone = true;
    };
  }, []);
  return html`
    <p><strong>${t(again ? "accounts.add.again" : "accounts.add.done", { name: of.name })}</strong></p>
    <p>${[of.email, of.plan, of.base_url].filter(Boolean).join(" · ")}</p>
    <p class=${tried ? (tried.works ? "tried works" : "tried fails") : "tried"} role="status">
      ${tried
        ? html`<strong>${t(tried.works ? "accounts.works" : "accounts.fails")}</strong> ${tried.sentence}.${tried.fix && html` <span>→ ${remedy(tried.fix)}</span>`}`
        : error
          ? error.message
          : t("accounts.testing")}
    </p>
    <div class="actions"><button type="button" class="button primary" onClick=${onClose}>${t("accounts.add.close")}</button></div>
  `;
}

/** @param {{kind: "openai" | "responses", onDone: (made: AccountRecord) => void}} props */
function WithKey({ kind, onDone }) {
  const server = kind === "responses";
  const [texts, setTexts] = useState({ name: "", base_url: "", api_key: "", organization: "", project: "" });
  const [rules, setRules] = useState(() => written());
  const form = useForm();
  const put = (/** @type {string} */ name) => (/** @type {string} */ value) => setTexts({ ...texts, [name]: value });
  const add = form.submits(async () => {
    const given = Object.entries(texts).map(([name, value]) => [name, value.trim()]).filter(([, value]) => value);
    onDone(await send("POST", "/accounts", { kind, ...Object.fromEntries(given), ...rulesFrom(rules) }));
  });
  const field = (/** @type {"name" | "base_url" | "api_key" | "organization" | "project"} */ name, /** @type {object} */ more) =>
    html`<${Field} name=${name} value=${texts[name]} onInput=${put(name)} problem=${problemOf(form.error, name)} ...${more} />`;
  // What is wrong in the part that may be closed opens it.
  const seen = ["name", "api_key", ...(server ? ["base_url", "models"] : [])];
  const hidden = form.error instanceof ApiError && form.error.path !== null && !seen.includes(form.error.path.split(".")[0] ?? "");
  return html`
    <form onSubmit=${add} novalidate>
      ${field("name", { label: t("accounts.field.name"), hint: t("accounts.field.name.hint"), autofocus: true })}
      ${server && field("base_url", { label: t("accounts.field.url"), hint: t("accounts.field.url.hint"), mono: true, inputmode: "url" })}
      ${field("api_key", { label: t(server ? "accounts.field.key.server" : "accounts.field.key"), type: "password", autocomplete: "new-password", mono: true })}
      ${server &&
      html`<${ModelsField} value=${rules.models} hint=${t("accounts.field.models.server")} onInput=${(/** @type {string} */ models) => setRules({ ...rules, models })} error=${form.error} />`}
      <details class="more" open=${hidden}>
        <summary>${t("accounts.field.more")}</summary>
        ${!server &&
        html`
          ${field("base_url", { label: t("accounts.field.url"), hint: t("accounts.field.url.openai"), mono: true, inputmode: "url" })}
          ${field("organization", { label: t("accounts.field.organization"), hint: t("accounts.field.optional") })}
          ${field("project", { label: t("accounts.field.project"), hint: t("accounts.field.optional") })}
        `}
        <${RuleFields} texts=${rules} onInput=${setRules} error=${form.error} models=${!server} />
      </details>
      <${Problem}>${elsewhere(form.error, Object.keys(texts))}<//>
      <div class="actions">
        <button class="button primary" disabled=${form.busy || !texts.name.trim() || !(server ? texts.base_url : texts.api_key).trim()}>${t("accounts.add.do")}</button>
      </div>
    </form>
  `;
}

/** @param {{name?: string, onDone: (made: AccountRecord) => void}} props */
function Import({ name: fixed, onDone }) {
  const [name, setName] = useState(fixed ?? "");
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState(/** @type {string | null} */ (null));
  const form = useForm();
  const put = (/** @type {string} */ value) => {
    setText(value);
    setWrong(null);
  };
  const taken = form.submits(async () => {
    const auth = parsed(text);
    if (typeof auth === "string") {
      setWrong(auth);
      return;
    }
    onDone(await send("POST", "/account-imports", { auth, ...(name.trim() ? { name: name.trim() } : {}) }));
  });
  const read = async (/** @type {Event} */ event) => {
    const file = /** @type {HTMLInputElement} */ (event.target).files?.[0];
    if (file) put(await file.text());
  };
  return html`
    <form onSubmit=${taken} novalidate>
      <${Field} name="name" label=${t("accounts.field.name")} hint=${fixed ? undefined : t("accounts.field.name.import")} value=${name} onInput=${setName} disabled=${Boolean(fixed)} problem=${problemOf(form.error, "name")} />
      <div class="field">
        <label class="button filebutton">
          ${t("accounts.import.file")}
          <input type="file" name="file" class="unseen" accept=".json,application/json" onChange=${read} />
        </label>
      </div>
      <${Area} name="auth" label=${t("accounts.import.paste")} hint=${t("accounts.import.paste.hint")} rows=${6} mono value=${text} onInput=${put} problem=${wrong ?? problemOf(form.error, "auth")} />
      <${Problem}>${elsewhere(form.error, ["name", "auth"])}<//>
      <div class="actions"><button class="button primary" disabled=${form.busy || !text.trim()}>${t("accounts.add.do")}</button></div>
    </form>
  `;
}

/**
 * What was pasted as an object, or what is wrong with it.
 * @param {string} text
 * @returns {Record<string, unknown> | string}
 */
function parsed(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return t("accounts.import.nojson");
  }
  return value !== null && typeof value === "object" && !Array.isArray(value) ? value : t("accounts.import.noobject");
}
