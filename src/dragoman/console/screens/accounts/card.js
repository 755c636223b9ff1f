// One account as a card: its state in words with what to do, its windows, its work, its buttons.

import { segment, send } from "../../api.js";
import { away, count, money, ratio, share, span, tokens } from "../../format.js";
import { html, useEffect, useRef, useState } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { Bar, Meter } from "../../parts/bar.js";
import { Confirm } from "../../parts/dialog.js";
import { Problem } from "../../parts/field.js";
import { Moment } from "../../parts/figure.js";
import { useForm } from "../../form.js";
import { mayChange, notify } from "../../state.js";
import { maybe, t, tn } from "../../text.js";
import { RulesDialog } from "./rules.js";
import { remedy, stateOf, stateWord } from "./state.js";

/** @import {AccountRecord, Live, Sums, Tried, Window} from "../../api-types.js" */
/** @import {Children} from "../../html.js" */
/** @import {Tone} from "../../parts/badge.js" */

/** @type {Record<string, Tone>} */
const TONES = { ok: "good", probing: "warn", cooling: "warn", paused: "calm", needs_login: "bad", dead: "bad", unknown: "bad" };
const BUCKETS = ["requests", "tokens"];

/** @param {string} why the pool's word */
function sentence(why) {
  return maybe(`accounts.why.${why}`, why);
}

/**
 * @param {{
 *   of: AccountRecord, sums: Sums | null | undefined, total: Sums | null, chosen: boolean, last: boolean,
 *   reload: () => void, onLogin: () => void,
 * }} props `sums` is undefined while today's are not known
 */
export function Card({ of, sums, total, chosen, last, reload, onLogin }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const state = stateOf(of);
  useEffect(() => {
    if (chosen) box.current?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  return html`
    <article ref=${box} class=${`panel account ${TONES[state] ?? "calm"}${chosen ? " chosen" : ""}`} data-row=${of.name} tabindex="-1" aria-label=${of.name}>
      <header class="account-head">
        <h2 title=${of.id ?? undefined}>${of.name}</h2>
        <${Badge} tone=${TONES[state] ?? "calm"}>${stateWord(state)}<//>
        <p class="account-who">
          ${[maybe(`accounts.kind.${of.kind}`, of.kind), of.plan, of.email].filter(Boolean).join(" · ")}
          ${of.kind !== "chatgpt" && of.base_url && html`<span class="account-address">${of.base_url}</span>`}
        </p>
      </header>
      <${State} of=${of} state=${state} />
      <${Windows} of=${of} />
      <${Facts} of=${of} sums=${sums} total=${total} />
      <${Deeds} of=${of} state=${state} last=${last} reload=${reload} onLogin=${onLogin} />
    </article>
  `;
}

/** @param {{of: AccountRecord, state: string}} props */
function State({ of, state }) {
  const { live } = of;
  const file = of.origin === "config";
  const now = Date.now();
  /** @type {Children[]} */
  const said = [];
  if (state === "cooling" && live) {
    const end = live.until ? html`${t("accounts.rests")} <${Moment} at=${live.until} /> (${away(live.until, now)}).` : t("accounts.rests.none");
    said.push(html`${closed(sentence(live.why ?? ""))} ${end}`);
  }
  if (state === "probing") said.push(t("accounts.probing"));
  if (state === "paused") said.push(t("accounts.paused"));
  if (state === "unknown") said.push(t("accounts.state.unknown.why"));
  if (state === "needs_login" || state === "dead") {
    if (of.note) said.push(closed(of.note));
    const what = state === "dead" ? (file ? "accounts.dead.file" : "accounts.dead.do") : file ? "accounts.login.file" : "accounts.login.do";
    said.push(html`<strong>${t(what)}</strong>`);
  }
  for (const one of live?.resting ?? []) {
    const end = one.until ? html`${t("accounts.until")} <${Moment} at=${one.until} /> (${away(one.until, now)})` : "";
    said.push(html`<b>${t("accounts.resting", { model: one.model })}</b> ${end}: ${sentence(one.why)}.`);
  }
  return said.length ? html`<div class="account-state">${said.map((one, at) => html`<p key=${at}>${one}</p>`)}</div>` : null;
}

/** @param {string} text a sentence with its full stop */
function closed(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** @param {{of: AccountRecord}} props */
function Windows({ of }) {
  const windows = of.live?.windows ?? [];
  if (of.simulated) return null;
  if (!windows.length) {
    return html`<p class="hint">${t(of.kind === "chatgpt" ? "accounts.windows.none.chatgpt" : "accounts.windows.none.other")}</p>`;
  }
  return html`
    <ul class="windows">
      ${windows.map((one) => html`<${OneWindow} key=${`${one.meter} ${one.seconds}`} of=${one} />`)}
    </ul>
  `;
}

/** @param {{of: Window}} props */
function OneWindow({ of }) {
  const bucket = BUCKETS.includes(of.meter);
  const stale = of.confidence === "stale";
  const meter = of.meter === "main" ? t("accounts.meter.main") : of.meter;
  const name = bucket ? t(`accounts.window.${/** @type {"tokens"} */ (of.meter)}`) : of.window;
  const used = `${stale ? "≈ " : ""}${share(of.used)}`;
  return html`
    <li>
      <span class="window-name">${name}${!bucket && of.meter !== "main" && html` <span class="faint">${of.meter}</span>`}</span>
      <span class="window-used" title=${t(stale ? "accounts.window.stale" : "accounts.window.heard", { age: span(of.age) })}>
        ${t("accounts.window.used", { used })}
      </span>
      <${Meter} used=${of.used} label=${bucket ? name : t("accounts.window.label", { window: of.window, meter })} text=${used} />
      ${!bucket &&
      html`<span class="window-reset"
        >${of.resets_at ? html`${t("accounts.window.reset")} <${Moment} at=${of.resets_at} /> (${away(of.resets_at, Date.now())})` : t("accounts.window.noreset")}</span
      >`}
    </li>
  `;
}

/** @param {{of: AccountRecord, sums: Sums | null | undefined, total: Sums | null}} props */
function Facts({ of, sums, total }) {
  const { live } = of;
  const now = Date.now();
  const back = live?.setback;
  return html`
    <dl class="account-facts">
      ${live &&
      html`
        <${Fact} name=${t("accounts.inflight")} title=${t("accounts.inflight.title")}>
          ${of.concurrency === null ? count(live.in_flight) : t("accounts.inflight.of", { n: count(live.in_flight), bound: count(of.concurrency) })}
        <//>
        <${Fact} name=${t("accounts.conversations")} title=${t("accounts.conversations.title")}>${count(live.lineages)}<//>
        ${live.windows.length > 0 && html`<${Fact} name=${t("accounts.room")} title=${t("accounts.room.title")}>${share(live.headroom)}<//>`}
        <${Credits} of=${live} />
        <${Fact} name=${t("accounts.served")} title=${t("accounts.served.title")}>
          ${live.served_at ? html`<${Moment} at=${live.served_at} far now=${now} />` : html`<span class="faint">${t("accounts.served.none")}</span>`}
        <//>
      `}
      <${Fact} name=${t("accounts.rules")}>${rulesOf(of)}<//>
      <${Fact} name=${t("accounts.models")} title=${(of.models ?? live?.catalogue ?? []).join(", ")}>${modelsOf(of)}<//>
      ${of.access_expires_at &&
      html`<${Fact} name=${t("accounts.token")} title=${t("accounts.token.title")}><${Moment} at=${of.access_expires_at} /><//>`}
      ${back &&
      html`
        <${Fact} name=${t("accounts.setback")} wide>
          <${Moment} at=${back.at} far now=${now} />:${" "}
          ${back.status === null
            ? t("accounts.setback.plain", { why: sentence(back.why), model: back.model })
            : t("accounts.setback.of", { why: sentence(back.why), model: back.model, status: back.status })}
        <//>
      `}
      <${Fact} name=${t("accounts.today")} wide><${Today} sums=${sums} total=${total} /><//>
    </dl>
  `;
}

/** @param {{name: string, title?: string, wide?: boolean, children?: Children}} props */
function Fact({ name, title, wide = false, children }) {
  return html`<div class=${wide ? "wide" : ""} title=${title || undefined}><dt>${name}</dt><dd>${children}</dd></div>`;
}

/** @param {{of: Live}} props */
function Credits({ of }) {
  const paid = of.credits;
  if (!paid || !(paid.has || paid.unlimited)) return null;
  const text = paid.unlimited ? t("accounts.credits.unlimited") : paid.balance === null ? t("accounts.credits.some") : String(paid.balance);
  return html`<${Fact} name=${t("accounts.credits")}>${text}<//>`;
}

/** @param {{sums: Sums | null | undefined, total: Sums | null}} props */
function Today({ sums, total }) {
  if (sums === undefined) return html`<span class="faint">…</span>`;
  if (sums === null || !sums.requests) return html`<span class="faint">${t("accounts.today.none")}</span>`;
  const all = total ? total.input_tokens + total.output_tokens : null;
  const part = ratio(sums.input_tokens + sums.output_tokens, all);
  const estimated = sums.estimated > 0;
  const text = part === null ? "" : t("accounts.today.share", { share: share(part) });
  return html`
    <span class="today">
      <span>${tn("accounts.today.requests", sums.requests, { n: count(sums.requests) })}</span>
      <span>${tokens(sums.input_tokens + sums.output_tokens, estimated)}</span>
      <span>${money(sums.cost_usd, estimated)}</span>
      ${sums.errors > 0 && html`<span class="bad-text">${t("accounts.today.failed", { n: count(sums.errors) })}</span>`}
      <span class="today-share">${text}</span>
    </span>
    ${part !== null &&
    html`<${Bar} label=${t("accounts.today.label")} total=${1} legend=${false} pieces=${[{ name: t("accounts.today"), value: part, text: share(part), paint: "one" }]} />`}
  `;
}

/** @param {AccountRecord} of */
function rulesOf(of) {
  return [
    t("accounts.rules.weight", { weight: of.weight }),
    of.priority !== 0 && t("accounts.rules.priority", { priority: of.priority }),
    of.group && t("accounts.rules.group", { group: of.group }),
  ]
    .filter(Boolean)
    .join(", ");
}

/** @param {AccountRecord} of */
function modelsOf(of) {
  if (of.models !== null) {
    if (!of.models.length) return t("accounts.models.nothing");
    return of.models.length > 2 ? t("accounts.models.some", { n: of.models.length }) : of.models.join(", ");
  }
  const own = of.live?.catalogue;
  return own ? t("accounts.models.catalogue", { n: own.length }) : t("accounts.models.any");
}

/**
 * What can be done, and what came of it.
 * @param {{of: AccountRecord, state: string, last: boolean, reload: () => void, onLogin: () => void}} props
 */
function Deeds({ of, state, last, reload, onLogin }) {
  const [tried, setTried] = useState(/** @type {Tried | null} */ (null));
  const [asking, setAsking] = useState(false);
  const [open, setOpen] = useState(/** @type {"rules" | "remove" | null} */ (null));
  const form = useForm();
  const own = of.origin === "store";
  const path = `/accounts/${segment(of.name)}`;
  if (!mayChange.value) return own || of.simulated ? null : html`<p class="hint">${t("accounts.config.why")}</p>`;
  const test = () =>
    form.run(async () => {
      setTried(null);
      setAsking(true);
      try {
        setTried(await send("POST", `${path}/test`));
      } finally {
        setAsking(false);
      }
      reload();
    });
  const turn = (/** @type {"pause" | "resume"} */ what) =>
    form.run(async () => {
      await send("POST", `${path}/${what}`);
      notify(t(what === "pause" ? "accounts.paused.done" : "accounts.resumed.done", { name: of.name }));
      reload();
    });
  const rests = state === "cooling" || state === "probing" || (of.live?.resting.length ?? 0) > 0;
  return html`
    ${tried &&
    html`
      <p class=${tried.works ? "tried works" : "tried fails"} role="status">
        <strong>${t(tried.works ? "accounts.works" : "accounts.fails")}</strong> ${closed(tried.sentence)}
        ${tried.fix && html` <span>→ ${remedy(tried.fix)}</span>`}
      </p>
    `}
    ${open !== "remove" && html`<${Problem}>${form.error?.message}<//>`}
    <footer class="deeds" role="group" aria-label=${t("accounts.actions", { name: of.name })}>
      <button type="button" class="button small" disabled=${form.busy} onClick=${test}>${t(asking ? "accounts.testing" : "accounts.test")}</button>
      ${own &&
      html`
        ${state === "paused" && html`<button type="button" class="button small" disabled=${form.busy} onClick=${() => turn("resume")}>${t("accounts.resume")}</button>`}
        ${of.status === "active" && html`<button type="button" class="button small" disabled=${form.busy} onClick=${() => turn("pause")}>${t("accounts.pause")}</button>`}
        ${of.status === "active" && rests && html`<button type="button" class="button small" disabled=${form.busy} onClick=${() => turn("resume")}>${t("accounts.resume.rest")}</button>`}
        <button type="button" class="button small" onClick=${() => setOpen("rules")}>${t("accounts.edit")}</button>
        ${of.kind === "chatgpt" &&
        html`<button type="button" class=${state === "needs_login" ? "button small primary" : "button small"} onClick=${onLogin}>${t("accounts.relogin")}</button>`}
        <button type="button" class="button small danger" onClick=${() => setOpen("remove")}>${t("accounts.remove")}</button>
      `}
      ${!own && !of.simulated && html`<span class="hint">${t("accounts.config.why")}</span>`}
    </footer>
    ${open === "rules" && html`<${RulesDialog} of=${of} onDone=${() => (setOpen(null), reload())} onClose=${() => setOpen(null)} />`}
    ${open === "remove" && html`<${Removal} of=${of} last=${last} onDone=${reload} onClose=${() => setOpen(null)} />`}
  `;
}

/** @param {{of: AccountRecord, last: boolean, onDone: () => void, onClose: () => void}} props */
function Removal({ of, last, onDone, onClose }) {
  const form = useForm();
  const remove = () =>
    form.run(async () => {
      await send("DELETE", `/accounts/${segment(of.name)}`);
      notify(t("accounts.removed.done", { name: of.name }));
      onClose();
      onDone();
    });
  return html`
    <${Confirm} title=${t("accounts.remove.title", { name: of.name })} act=${t("accounts.remove")} busy=${form.busy} onDo=${remove} onClose=${onClose}>
      <p>${t("accounts.remove.text")}</p>
      ${last && html`<p><strong>${t("accounts.remove.last")}</strong></p>`}
      <${Problem}>${form.error?.message}<//>
    <//>
  `;
}
